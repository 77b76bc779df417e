from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mlbutler.errors import BusyError, StoreError
from mlbutler.store.interface import ObjectId
from mlbutler.store.local import LocalStore
from mlbutler.store.upkeep import mark, prune, uses
from tests.store.world import add_directory, add_object

DAY = 86400.0
SIZE = 1000


@pytest.fixture(autouse=True)
def ours(mirror: LocalStore) -> None:
    """The mirror is one that mlbutler made."""
    mark.begin(mirror.root)


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tests put there came ten days ago."""
    now = time.time() + 10 * DAY
    monkeypatch.setattr("mlbutler.store.upkeep.prune.time.time", lambda: now)


def used(mirror: LocalStore, oid: ObjectId, days_ago: float, monkeypatch: pytest.MonkeyPatch) -> uses.BuildLease:
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
        used(mirror, oid, days, monkeypatch).close()
    done = prune.prune(mirror.root, 3 * SIZE)
    assert there(mirror, old, middle, new, never) == [False, True, True, False]  # 0.9 of the limit: two
    assert (done.objects, done.bytes, done.left_objects, done.left_bytes) == (2, 2 * SIZE, 2, 2 * SIZE)
    assert set(uses.read_uses(mirror.root).last) == {middle, new}


def test_a_directory_is_used_with_its_files(mirror: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = add_directory(mirror.root, {f"{number}.txt": b"%d" % number * SIZE for number in range(5)})
    (lone,) = put(mirror, "lone")
    used(mirror, lone, 2.0, monkeypatch).close()
    used(mirror, folder, 1.0, monkeypatch).close()
    prune.prune(mirror.root, 5 * SIZE + SIZE // 2)
    assert there(mirror, lone, folder) == [False, True]
    assert sum(1 for _ in mirror.root.glob("files/md5/*/*")) == 6 - 1  # and one file that the limit does not allow


def test_what_a_running_build_uses_stays_though_it_is_old(mirror: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = add_directory(mirror.root, {"a.txt": b"a" * SIZE, "b.txt": b"b" * SIZE})
    (fresh,) = put(mirror, "fresh")
    held = used(mirror, folder, 9.0, monkeypatch)
    used(mirror, fresh, 1.0, monkeypatch).close()
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
            held.append(used(mirror, oids[0], 5.0, monkeypatch))
            held.append(used(mirror, oids[5], 5.0, monkeypatch))

    prune.prune(mirror.root, 1, progress=starts)
    assert sum(there(mirror, oids[0], oids[5])) >= 1
    assert sum(there(mirror, *oids)) <= 2


def test_what_was_used_within_the_hour_stays(mirror: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    recent, old = put(mirror, "recent", "old")
    used(mirror, recent, 0.02, monkeypatch).close()
    prune.prune(mirror.root, 1)
    assert there(mirror, recent, old) == [True, False]


def test_what_has_just_come_stays(mirror: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    (oid,) = put(mirror, "just come")
    assert prune.prune(mirror.root, 1).objects == 0
    assert there(mirror, oid) == [True]


def test_by_age(mirror: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = put(mirror, "old", "new")
    used(mirror, old, 8.0, monkeypatch).close()
    used(mirror, new, 2.0, monkeypatch).close()
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
    prune.grown(mirror.root, SIZE)
    put(mirror, "k")
    done = prune.keep_below(mirror.root, 10 * SIZE)
    assert done is not None
    assert done.left_bytes == 9 * SIZE
    assert prune.keep_below(mirror.root, 10 * SIZE) is None


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
