from __future__ import annotations

import json
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from mlbutler.errors import BusyError, StoreError
from mlbutler.state.segments import FOLDER, Segment
from mlbutler.store.interface import ObjectId
from mlbutler.store.local import LocalStore
from mlbutler.store.upkeep import mark, prune, uses
from tests.store.world import add_directory, add_object

DAY = 86400.0
SIZE = 1000


@pytest.fixture(autouse=True)
def ours(mirror: LocalStore) -> None:
    """The mirror is one that mlbutler made."""
    mark.mark_if_empty(mirror.root)


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tests put there came ten days ago."""
    now = time.time() + 10 * DAY
    monkeypatch.setattr("mlbutler.store.upkeep.prune.time.time", lambda: now)


def use(mirror: LocalStore, oid: ObjectId, days_ago: float, monkeypatch: pytest.MonkeyPatch) -> uses.BuildLease:
    now = time.time()  # already the later one
    with monkeypatch.context() as then:
        then.setattr("mlbutler.store.upkeep.uses.time.time", lambda: now - days_ago * DAY)
        return uses.acquire(mirror.root, [oid])


def put(mirror: LocalStore, *names: str) -> list[ObjectId]:
    return [add_object(mirror.root, name.encode().ljust(SIZE, b".")) for name in names]


def there(mirror: LocalStore, *oids: ObjectId) -> list[bool]:
    return [mirror.stat(oid) is not None for oid in oids]


def test_the_least_recently_used_goes(mirror: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    old, middle, new, never = put(mirror, "old", "middle", "new", "never")
    for oid, days in ((new, 1.0), (old, 9.0), (middle, 3.0)):
        use(mirror, oid, days, monkeypatch).close()
    done = prune.prune(mirror.root, 3 * SIZE)
    assert there(mirror, old, middle, new, never) == [False, True, True, False]  # 0.9 of the limit: two
    assert (done.objects, done.bytes, done.left_objects, done.left_bytes) == (2, 2 * SIZE, 2, 2 * SIZE)
    assert set(uses.read_uses(mirror.root).last) == {middle, new}


def test_a_directory_is_used_with_its_files(mirror: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = add_directory(mirror.root, {f"{number}.txt": b"%d" % number * SIZE for number in range(5)})
    (lone,) = put(mirror, "lone")
    use(mirror, lone, 2.0, monkeypatch).close()
    use(mirror, folder, 1.0, monkeypatch).close()
    prune.prune(mirror.root, 5 * SIZE + SIZE // 2)
    assert there(mirror, lone, folder) == [False, True]
    assert sum(1 for _ in mirror.root.glob("files/md5/*/*")) == 6 - 1  # and one file that the limit does not allow


def test_what_a_running_build_uses_stays_though_it_is_old(mirror: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = add_directory(mirror.root, {"a.txt": b"a" * SIZE, "b.txt": b"b" * SIZE})
    (fresh,) = put(mirror, "fresh")
    held = use(mirror, folder, 9.0, monkeypatch)
    use(mirror, fresh, 1.0, monkeypatch).close()
    done = prune.prune(mirror.root, 1)
    assert there(mirror, folder, fresh) == [True, False]
    assert done.left_objects == 3
    assert done.kept_bytes == done.left_bytes
    held.close()
    assert prune.prune(mirror.root, 1).left_objects == 0


def test_a_build_that_starts_meanwhile_is_noticed(mirror: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    oids = put(mirror, *"abcdef")
    held: list[uses.BuildLease] = []

    def starts(objects: int, size: int) -> None:
        if not held:
            held.append(use(mirror, oids[0], 5.0, monkeypatch))
            held.append(use(mirror, oids[5], 5.0, monkeypatch))

    prune.prune(mirror.root, 1, progress=starts)
    assert sum(there(mirror, oids[0], oids[5])) >= 1
    assert sum(there(mirror, *oids)) <= 2


def test_what_was_used_within_the_hour_stays(mirror: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    recent, old = put(mirror, "recent", "old")
    use(mirror, recent, 0.02, monkeypatch).close()
    prune.prune(mirror.root, 1)
    assert there(mirror, recent, old) == [True, False]


def test_what_has_just_come_stays(mirror: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    (oid,) = put(mirror, "just come")
    assert prune.prune(mirror.root, 1).objects == 0
    assert there(mirror, oid) == [True]


def test_by_age(mirror: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = put(mirror, "old", "new")
    use(mirror, old, 8.0, monkeypatch).close()
    use(mirror, new, 2.0, monkeypatch).close()
    assert prune.prune(mirror.root, older_than=30 * DAY).objects == 0
    assert prune.prune(mirror.root, older_than=7 * DAY).objects == 1
    assert there(mirror, old, new) == [False, True]


def test_a_dry_run_changes_nothing(mirror: LocalStore) -> None:
    oids = put(mirror, "a", "b")
    before = sorted(mirror.root.rglob("*"))
    done = prune.prune(mirror.root, 1, dry=True)
    assert (done.objects, done.left_objects) == (2, 0)
    assert there(mirror, *oids) == [True, True]
    assert sorted(mirror.root.rglob("*")) == before


def test_leftovers_of_killed_transfers_go_and_nothing_else(mirror: LocalStore) -> None:
    (oid,) = put(mirror, "whole")
    folder = mirror.path(oid).parent
    (folder / ".abc-1.tmp").write_text("left")
    others = [mirror.root / "notes.txt", folder / "README", mirror.root / "runs" / "ab" / "x", mirror.root / "zz" / "y"]
    for other in others:
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_text("not ours")
    assert prune.prune(mirror.root, 1).unfinished == 1
    assert [path.name for path in folder.iterdir()] == ["README"]
    assert all(other.is_file() for other in others)


def test_objects_of_dvc_2_count_too(mirror: LocalStore) -> None:
    oid = ObjectId("0123456789abcdef0123456789abcdef", legacy=True)
    mirror.path(oid).parent.mkdir(parents=True)
    mirror.path(oid).write_bytes(b"x" * SIZE)
    assert prune.prune(mirror.root, 1).bytes == SIZE
    assert there(mirror, oid) == [False]


def test_one_process_at_a_time(mirror: LocalStore) -> None:
    put(mirror, "a")
    with prune._alone(mirror.root, dry=False):
        with pytest.raises(BusyError, match="Another process prunes"):
            prune.prune(mirror.root, 1)
        assert prune.keep_below(mirror.root, 1) is None
    assert prune.prune(mirror.root, 1).objects == 1


def test_growth_is_noted_and_the_mirror_is_surveyed_only_when_needed(
    mirror: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(mirror, *"abcdefghij")
    assert prune.keep_below(mirror.root, 10 * SIZE) == prune.Pruned(0, 0, 0, 10, 10 * SIZE, 0)  # nothing known yet
    assert prune.keep_below(mirror.root, 10 * SIZE) is None
    prune.record_growth(mirror.root, SIZE)
    put(mirror, "k")
    done = prune.keep_below(mirror.root, 10 * SIZE)
    assert done is not None
    assert done.left_bytes == 9 * SIZE
    assert prune.keep_below(mirror.root, 10 * SIZE) is None


def survey_then_empty(mirror: LocalStore) -> None:
    """Have the mirror's size known, and then its two objects gone: only what was noted tells of them."""
    oids = put(mirror, "a", "b")
    assert prune.keep_below(mirror.root, 10 * SIZE) is not None
    for oid in oids:
        mirror.path(oid).unlink()


def is_above(mirror: LocalStore, size: int) -> bool:
    """Tell whether the mirror is taken for larger than that, without a survey that would count it again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prune, "prune", lambda *_, **__: prune.Pruned())
        return prune.keep_below(mirror.root, size) is not None


def test_the_growth_of_builds_that_note_it_at_once_adds_up(mirror: LocalStore) -> None:
    survey_then_empty(mirror)

    def build() -> None:
        for _ in range(50):
            prune.record_growth(mirror.root, SIZE)

    builds = [multiprocessing.get_context("fork").Process(target=build) for _ in range(4)]
    for one in builds:
        one.start()
    for one in builds:
        one.join()
    assert is_above(mirror, 202 * SIZE - 1)
    assert not is_above(mirror, 202 * SIZE)


@pytest.mark.parametrize("cut", [1, 2, 20, 90])
def test_what_a_killed_build_noted_by_halves_is_passed_over(mirror: LocalStore, cut: int) -> None:
    survey_then_empty(mirror)
    prune.record_growth(mirror.root, SIZE)
    prune.record_growth(mirror.root, SIZE)
    (file,) = (mirror.root / "mlbutler" / FOLDER / prune.KIND).iterdir()
    os.truncate(file, file.stat().st_size - cut)
    prune.record_growth(mirror.root, SIZE)
    expected = (5 if cut == 1 else 4) * SIZE  # without the line's end it is whole
    assert is_above(mirror, expected - 1)
    assert not is_above(mirror, expected)


def test_a_build_that_is_killed_while_it_counts_leaves_what_was_known(
    mirror: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    survey_then_empty(mirror)
    prune.record_growth(mirror.root, SIZE)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupt)
        patch.setattr(Path, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            prune.prune(mirror.root, 10 * SIZE)
    assert is_above(mirror, 3 * SIZE - 1)
    assert not is_above(mirror, 3 * SIZE)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_after_much_growth_the_mirror_is_counted_again(mirror: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "_MANY", 3)
    survey_then_empty(mirror)
    for _ in range(2):
        prune.record_growth(mirror.root, SIZE)
        assert prune.keep_below(mirror.root, 10 * SIZE) is None
    prune.record_growth(mirror.root, SIZE)
    assert prune.keep_below(mirror.root, 10 * SIZE) == prune.Pruned()
    assert not is_above(mirror, 0)


def test_what_comes_while_the_mirror_is_surveyed_counts(mirror: LocalStore) -> None:
    put(mirror, "a", "b")
    prune.record_growth(mirror.root, 100 * SIZE)  # before it: what came is seen
    done = prune.prune(mirror.root, SIZE, progress=lambda *_: prune.record_growth(mirror.root, 7 * SIZE))
    assert (done.objects, done.left_bytes) == (2, 0)
    assert is_above(mirror, 14 * SIZE - 1)
    assert not is_above(mirror, 14 * SIZE)


def test_what_is_known_of_a_mirror_without_a_limit_does_not_grow_without_end(
    mirror: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "_MANY", 10)
    monkeypatch.setattr(prune, "_LARGEST", 1280)
    survey_then_empty(mirror)
    for _ in range(100):
        prune.record_growth(mirror.root, 1)
    (file,) = (mirror.root / "mlbutler" / FOLDER / prune.KIND).iterdir()
    assert file.stat().st_size < 1500
    assert is_above(mirror, 1000 * SIZE), "a build with a limit counts it again"


def test_what_earlier_versions_knew_of_the_size_goes(mirror: LocalStore) -> None:
    ours = mirror.root / "mlbutler"
    (ours / "size.json").write_text(f'{{"bytes": {SIZE}, "objects": 1, "at": 1.0}}')
    (ours / "growth").write_text(f"{SIZE}\n")
    assert prune.keep_below(mirror.root, 10 * SIZE) is not None, "it is counted again"
    assert {path.name for path in ours.iterdir()} == {"mirror.json", "prune.lock", FOLDER}


@pytest.mark.parametrize("row", ['"many"', "null", "[1]", "1e400"])
def test_a_size_that_is_no_number_is_counted_again(mirror: LocalStore, row: str) -> None:
    survey_then_empty(mirror)
    Segment(mirror.root / "mlbutler", prune.KIND).replace({"surveyed": json.loads(row)})
    assert prune.keep_below(mirror.root, 10 * SIZE) == prune.Pruned()


def test_no_mirror_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="There is no mirror"):
        prune.prune(tmp_path / "nowhere", 1)


def test_an_object_that_cannot_be_removed_is_an_error_with_its_remedy(mirror: LocalStore) -> None:
    (oid,) = put(mirror, "a")
    real = Path.unlink

    def refuse(self: Path, missing_ok: bool = False) -> None:
        if self == mirror.path(oid):
            raise PermissionError(13, os.strerror(13), str(self))
        real(self, missing_ok=missing_ok)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        with pytest.raises(StoreError, match="Permission denied") as caught:
            prune.prune(mirror.root, 1)
    assert "may read and write it" in caught.value.remedy
