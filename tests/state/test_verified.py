from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest

from mlbutler.state.fingerprint import size_in
from mlbutler.state.verified import VerifiedObjects
from mlbutler.store.interface import ObjectId
from mlbutler.store.local import LocalStore
from tests.store.world import add_object


def status(store: LocalStore, oid: ObjectId) -> os.stat_result:
    found = store.stat(oid)
    assert found is not None
    return found


def memory(store: LocalStore) -> VerifiedObjects:
    return VerifiedObjects(store.root / "mlbutler")


def knows(store: LocalStore, oid: ObjectId) -> bool:
    """As another process would."""
    return memory(store).contains(oid, status(store, oid))


@pytest.fixture
def verified_object(cache: LocalStore) -> ObjectId:
    oid = add_object(cache.root, b"content")
    cache.verified.add(oid, status(cache, oid))
    cache.verified.save()
    return oid


def test_what_was_seen_is_known_to_the_next(cache: LocalStore, verified_object: ObjectId) -> None:
    assert knows(cache, verified_object)
    assert not memory(cache).contains(ObjectId(verified_object.md5, legacy=True), status(cache, verified_object))
    assert not knows(cache, add_object(cache.root, b"other"))


@pytest.mark.parametrize("change", ["written", "replaced", "touched", "cut"])
def test_whatever_happens_to_a_file_makes_it_unknown(cache: LocalStore, verified_object: ObjectId, change: str) -> None:
    path = cache.path(verified_object)
    path.chmod(0o644)
    if change == "written":
        path.write_bytes(b"CONTENT")
    elif change == "touched":
        os.utime(path)
    elif change == "cut":
        os.truncate(path, 3)
    else:
        other = path.with_name("other")
        other.write_bytes(b"CONTENT")
        os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
        other.replace(path)
    assert not knows(cache, verified_object)


def test_links_and_modes_change_nothing(cache: LocalStore, verified_object: ObjectId, tmp_path: Path) -> None:
    (tmp_path / "link").hardlink_to(cache.path(verified_object))
    cache.path(verified_object).chmod(0o400)
    assert knows(cache, verified_object)


def test_what_was_seen_before_the_machine_started_is_not_believed(
    cache: LocalStore, verified_object: ObjectId, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut may have torn it, and its file look as it should."""
    (tmp_path / "boot").write_text("another\n")
    monkeypatch.setattr("mlbutler.state.verified._BOOT", tmp_path / "boot")
    assert not knows(cache, verified_object)


def test_many_builds_leave_few_lines(cache: LocalStore, verified_object: ObjectId) -> None:
    others = [add_object(cache.root, b"%d" % number) for number in range(50)]
    for oid in others:
        one = memory(cache)
        one.contains(oid, status(cache, oid))
        one.add(oid, status(cache, oid))
        one.save()
    assert all(knows(cache, oid) for oid in [verified_object, *others])
    [file] = [path for path in (cache.root / "mlbutler").rglob("*") if path.is_file()]
    assert len(file.read_bytes().split(b"\n")) < 50


def _text(found: os.stat_result) -> str:
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns}"


def test_the_statuses_of_many_are_told_at_once(cache: LocalStore, verified_object: ObjectId) -> None:
    noted, legacy, unknown = (
        add_object(cache.root, b"noted"),
        ObjectId(verified_object.md5, legacy=True),
        ObjectId("f" * 32),
    )
    one = memory(cache)
    one.add(noted, status(cache, noted))
    one.add(legacy, status(cache, verified_object))
    known = one.fingerprints([noted, verified_object, legacy, unknown])
    assert known == {noted: _text(status(cache, noted)), verified_object: _text(status(cache, verified_object))}
    assert size_in(known[verified_object]) == len(b"content")


def test_what_was_noted_last_counts_and_what_was_noted_alone_needs_no_file(
    cache: LocalStore, verified_object: ObjectId
) -> None:
    other = cache.path(verified_object).with_name("other")
    other.write_bytes(b"content")
    other.replace(cache.path(verified_object))
    alone, other_one = memory(cache), memory(cache)
    alone.add(verified_object, status(cache, verified_object))
    assert not other_one.contains(
        verified_object, status(cache, verified_object)
    )  # it has read what was seen of the other file
    other_one.add(verified_object, status(cache, verified_object))
    for one in (alone, other_one):
        assert one.fingerprints([verified_object]) == {verified_object: _text(status(cache, verified_object))}
    assert not knows(cache, verified_object)
    other_one.save()
    assert knows(cache, verified_object)
    assert memory(cache).fingerprints([verified_object]) == {verified_object: _text(status(cache, verified_object))}


def test_what_another_memory_knew_is_noted_and_saved(
    cache: LocalStore, verified_object: ObjectId, mirror: LocalStore
) -> None:
    oid = add_object(mirror.root, b"content")
    mirror.verified.add_all(
        cache.verified.fingerprints([verified_object]) | {verified_object: _text(status(mirror, oid))}
    )
    assert mirror.verified.fingerprints([verified_object]) == {verified_object: _text(status(mirror, oid))}
    mirror.verified.save()
    assert knows(mirror, oid)


@pytest.mark.parametrize("text", [
    None, 3, "1 2", [1, 2, 3], {}, "", "1  3", "1 2 ", " 2 3", "1 2 3 4", "1 2 3\n4 5 6", "a b c", "1 2 3\n",
    "\ud800 1 2",
])  # fmt: skip
def test_a_row_that_is_no_fingerprint_is_none(cache: LocalStore, verified_object: ObjectId, text: object) -> None:
    other = ObjectId("0" * 32)
    memory(cache)._segment.append({verified_object.md5: text, other.md5: "1 2 3"})
    assert not knows(cache, verified_object)
    assert memory(cache).fingerprints([verified_object, other]) == {other: "1 2 3"}


def test_a_directory_that_cannot_be_written_is_done_without() -> None:
    nowhere = VerifiedObjects(Path("/proc/nowhere"))
    nowhere.add(ObjectId("0" * 32), Path(__file__).stat())
    nowhere.save()


def test_of_a_great_many_objects_only_those_that_are_asked_for_cost_memory(tmp_path: Path) -> None:
    """The file's own text, its rows, and little more: they are not copied."""
    place, many = tmp_path / "mlbutler", 100_000
    written = VerifiedObjects(place)
    written.add_all({(f"{number:032x}", False): f"{number} 4096 1764270000123456789" for number in range(many)})
    written.save()
    bytes_kept = next((place / "state" / "verified").iterdir()).stat().st_size
    asked = [(f"{number:032x}", False) for number in range(0, many, 100)]
    tracemalloc.start()
    try:
        assert len(VerifiedObjects(place).fingerprints(asked)) == len(asked)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 6.3 * bytes_kept  # copied, it was 7.5
