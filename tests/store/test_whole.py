from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mlbutler.store.interface import ObjectId
from mlbutler.store.local import LocalStore
from mlbutler.store.whole import FOLDER, Whole, size_in
from tests.store.world import add_object


def status(store: LocalStore, oid: ObjectId) -> os.stat_result:
    found = store.stat(oid)
    assert found is not None
    return found


def knows(store: LocalStore, oid: ObjectId) -> bool:
    """As another process would."""
    return Whole(store.root).knows(oid, status(store, oid))


@pytest.fixture
def seen(cache: LocalStore) -> ObjectId:
    oid = add_object(cache.root, b"content")
    cache.whole.note(oid, status(cache, oid))
    cache.whole.save()
    return oid


def test_what_was_seen_is_known_to_the_next(cache: LocalStore, seen: ObjectId) -> None:
    assert knows(cache, seen)
    assert not Whole(cache.root).knows(ObjectId(seen.md5, legacy=True), status(cache, seen))
    assert not knows(cache, add_object(cache.root, b"other"))


@pytest.mark.parametrize("change", ["written", "replaced", "touched", "cut"])
def test_whatever_happens_to_a_file_makes_it_unknown(cache: LocalStore, seen: ObjectId, change: str) -> None:
    path = cache.path(seen)
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
    assert not knows(cache, seen)


def test_links_and_modes_change_nothing(cache: LocalStore, seen: ObjectId, tmp_path: Path) -> None:
    (tmp_path / "link").hardlink_to(cache.path(seen))
    cache.path(seen).chmod(0o400)
    assert knows(cache, seen)


def test_what_was_seen_before_the_machine_started_is_not_believed(
    cache: LocalStore, seen: ObjectId, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut may have torn it, and its file look as it should."""
    (tmp_path / "boot").write_text("another\n")
    monkeypatch.setattr("mlbutler.store.whole._BOOT", tmp_path / "boot")
    assert not knows(cache, seen)


def test_many_builds_leave_few_files_and_old_starts_none(cache: LocalStore, seen: ObjectId) -> None:
    old = cache.root / FOLDER / "an-old-start"
    old.mkdir()
    (old / "1").touch()
    os.utime(old, (time.time() - 40 * 86400,) * 2)
    others = [add_object(cache.root, b"%d" % number) for number in range(50)]
    for oid in others:
        one = Whole(cache.root)
        one.knows(oid, status(cache, oid))
        one.note(oid, status(cache, oid))
        one.save()
    assert all(knows(cache, oid) for oid in [seen, *others])
    assert len([path for path in (cache.root / FOLDER).rglob("*") if path.is_file()]) <= 21
    assert not old.exists()


def test_one_build_that_saves_often_writes_once_what_others_saw(cache: LocalStore, seen: ObjectId) -> None:
    others = [add_object(cache.root, b"%d" % number) for number in range(30)]
    for oid in others[:25]:
        one = Whole(cache.root)
        one.note(oid, status(cache, oid))
        one.save()
    last = Whole(cache.root)
    for oid in others:
        if not last.knows(oid, status(cache, oid)):
            last.note(oid, status(cache, oid))
            last.save()
    files = [path for path in (cache.root / FOLDER).rglob("*") if path.is_file()]
    lines = [line for path in files for line in path.read_text().splitlines()]
    assert len(lines) == len(set(lines)) == 31
    assert all(knows(cache, oid) for oid in [seen, *others])


def _text(found: os.stat_result) -> str:
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns}"


def test_the_statuses_of_many_are_told_at_once(cache: LocalStore, seen: ObjectId) -> None:
    noted, legacy, unknown = add_object(cache.root, b"noted"), ObjectId(seen.md5, legacy=True), ObjectId("f" * 32)
    memory = Whole(cache.root)
    memory.note(noted, status(cache, noted))
    memory.note(legacy, status(cache, seen))
    known = memory.statuses([noted, seen, legacy, unknown])
    assert known == {noted: _text(status(cache, noted)), seen: _text(status(cache, seen))}
    assert size_in(known[seen]) == len(b"content")


def test_what_was_noted_last_counts_and_what_was_noted_alone_needs_no_file(cache: LocalStore, seen: ObjectId) -> None:
    other = cache.path(seen).with_name("other")
    other.write_bytes(b"content")
    other.replace(cache.path(seen))
    alone, memory = Whole(cache.root), Whole(cache.root)
    alone.note(seen, status(cache, seen))
    assert not memory.knows(seen, status(cache, seen))  # it has read what was seen of the other file
    memory.note(seen, status(cache, seen))
    for one in (alone, memory):
        assert one.statuses([seen]) == {seen: _text(status(cache, seen))}
    assert not knows(cache, seen)
    memory.save()
    assert knows(cache, seen)
    assert Whole(cache.root).statuses([seen]) == {seen: _text(status(cache, seen))}


def test_what_another_memory_knew_is_noted_and_saved(cache: LocalStore, seen: ObjectId, mirror: LocalStore) -> None:
    oid = add_object(mirror.root, b"content")
    mirror.whole.note_all(cache.whole.statuses([seen]) | {seen: _text(status(mirror, oid))})
    assert mirror.whole.statuses([seen]) == {seen: _text(status(mirror, oid))}
    mirror.whole.save()
    assert knows(mirror, oid)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"nonsense\n\n", b"a b c d e f g"])
def test_what_makes_no_sense_is_passed_over(cache: LocalStore, seen: ObjectId, content: bytes) -> None:
    for folder in (cache.root / FOLDER).iterdir():
        (folder / "0").write_bytes(content)
    assert knows(cache, seen)


def test_a_directory_that_cannot_be_written_is_done_without() -> None:
    memory = Whole(Path("/proc/nowhere"))
    memory.note(ObjectId("0" * 32), Path(__file__).stat())
    memory.save()
