"""Many hardlinks by two processes: all arrive, whatever happens to the second one."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlbutler.errors import Interrupted
from mlbutler.state.verified import VerifiedObjects
from mlbutler.store import linker, linking
from mlbutler.store.engine import bring
from mlbutler.store.interface import Need, ObjectId
from mlbutler.store.linking import MANY, Jobs, Linked, link_all
from mlbutler.store.local import LocalStore
from mlbutler.store.manifest import parse_manifest
from tests.store.world import add_directory, damage, md5, second_processes, unsound

SMALL, LARGE = 1500, MANY + 600
large = pytest.mark.parametrize("total", [LARGE])


@pytest.fixture
def total(monkeypatch: pytest.MonkeyPatch) -> int:
    """Objects in the mirror; few, and taken for many, where the test does not say otherwise."""
    monkeypatch.setattr(linking, "MANY", SMALL - 200)
    return SMALL


def files(total: int) -> dict[str, bytes]:
    return {f"{number % 7}/f {number}.txt": b"content %d" % number for number in range(total)}


@functools.cache
def master(directory: Path, total: int) -> tuple[Path, ObjectId]:
    return directory / str(total), add_directory(directory / str(total), files(total))


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("full")


@pytest.fixture
def folder(directory: Path, total: int) -> ObjectId:
    return master(directory, total)[1]


@pytest.fixture
def mirror(directory: Path, total: int, folder: ObjectId, tmp_path: Path) -> LocalStore:
    """A copy of the test's own, whose objects were all seen whole."""
    root = master(directory, total)[0]
    subprocess.run(["cp", "-al", str(root), str(tmp_path / "mirror")], check=True)
    store = LocalStore("mirror", tmp_path / "mirror", hardlink=True)
    for oid in objects(store, folder):
        found = store.stat(oid)
        assert found is not None
        store.verified.add(oid, found)
    store.verified.save()
    return LocalStore("mirror", tmp_path / "mirror", hardlink=True)


@pytest.fixture
def need(folder: ObjectId, total: int) -> Need:
    return Need("data", folder, size=sum(map(len, files(total).values())))


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linking, "cores", lambda: 2)


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The second processes that were started."""
    yield from second_processes(monkeypatch)


def objects(store: LocalStore, folder: ObjectId) -> list[ObjectId]:
    return [folder, *(ObjectId(md5) for md5 in parse_manifest(store.path(folder).read_bytes(), folder).values())]


def no_remote(_: str | None) -> None:
    raise AssertionError("the remote was opened although nothing is needed from it")


def bring_all(need: Need, cache: LocalStore, mirror: LocalStore) -> dict[str, int]:
    """Bring all: how many objects came from where. Each is whole, known to be so, and the mirror's own file."""
    brought = bring([need], cache, mirror, no_remote)
    assert not brought.missing
    assert not brought.errors
    assert not unsound(cache.root)
    for oid in objects(cache, need.oid):
        found = cache.stat(oid)
        assert found is not None
        assert found.st_nlink >= 2
        assert found.st_ino == mirror.path(oid).stat().st_ino
    seen = VerifiedObjects(cache.root / "mlbutler")
    assert all(seen.contains(oid, cache.path(oid).stat()) for oid in objects(cache, need.oid))
    return {moved.place: moved.objects for moved in brought.moved}


@large
def test_a_second_process_makes_its_share(
    need: Need, total: int, cache: LocalStore, mirror: LocalStore, workers: list[subprocess.Popen[bytes]]
) -> None:
    assert bring_all(need, cache, mirror) == {"mirror": total + 1}
    assert len(workers) == 1
    assert bring_all(need, cache, mirror) == {"cache": total + 1}
    assert len(workers) == 1


KILLS_ITSELF = """
import os, sys
from pathlib import Path
sys.path.insert(0, {folder!r})
import linker
made, count = linker.link, [0]
def link(*words):
    count[0] += 1
    if count[0] > 3:
        {tells}
        os.kill(os.getpid(), 9)
    return made(*words)
linker.link = link
linker.main()
"""


@large
@pytest.mark.parametrize("tells", ["pass", "sys.stdout.buffer.flush()"], ids=["untold", "told"])
def test_a_second_process_that_is_killed_half_way_costs_nothing(
    need: Need, total: int, cache: LocalStore, mirror: LocalStore, workers: list[subprocess.Popen[bytes]], tells: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    program = tmp_path / "killed.py"
    program.write_text(KILLS_ITSELF.format(tells=tells, folder=str(Path(str(linker.__file__)).parent)))
    monkeypatch.setattr(linker, "__file__", str(program))
    assert bring_all(need, cache, mirror) == {"mirror": total + 1}
    assert [process.returncode for process in workers] == [-signal.SIGKILL]


def test_one_that_cannot_be_started_costs_nothing(
    need: Need, total: int, cache: LocalStore, mirror: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert bring_all(need, cache, mirror) == {"mirror": total + 1}


@pytest.mark.parametrize("kind", ["one core", "no such program"])
def test_so_does_one_that_is_no_help(
    need: Need, total: int, cache: LocalStore, mirror: LocalStore, workers: list[subprocess.Popen[bytes]], kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if kind == "one core":
        monkeypatch.setattr(linking, "cores", lambda: 1)
    else:
        monkeypatch.setattr(linker, "__file__", "/nowhere/linker.py")
    assert bring_all(need, cache, mirror) == {"mirror": total + 1}
    assert len(workers) == (kind != "one core")


def test_objects_that_changed_since_they_were_seen_are_not_taken_for_whole(
    need: Need, total: int, cache: LocalStore, mirror: LocalStore, tmp_path: Path
) -> None:
    contents = sorted(files(total).values(), key=md5)
    remote = LocalStore("origin", tmp_path / "remote")
    for content in (contents[100], contents[total // 2], contents[-100]):  # of both processes
        oid = ObjectId(md5(content))
        damage(mirror.root, oid, b"X" * len(content))
        damage(remote.root, oid, content)
    brought = bring([need], cache, mirror, remote)
    assert {moved.place: moved.objects for moved in brought.moved} == {"mirror": total - 2, "origin": 3}
    assert not brought.missing
    assert not unsound(cache.root)
    assert not unsound(mirror.root)


def count(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir())


def jobs(mirror: LocalStore, need: Need, target: Path) -> Jobs:
    found = mirror.verified.fingerprints(oid for oid in objects(mirror, need.oid) if not oid.is_directory)
    target.mkdir()
    return Jobs.of(mirror.root, target, [(oid, oid.md5, status) for oid, status in found.items()])


def test_whoever_is_told_of_the_progress_may_stop_it(
    need: Need, total: int, mirror: LocalStore, workers: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    def stop(_: int) -> None:
        raise Interrupted("Stopped.")

    with pytest.raises(Interrupted):
        link_all(jobs(mirror, need, tmp_path / "target"), stop)
    [second] = workers
    assert second.poll() is not None
    there = count(tmp_path / "target")
    assert there < total
    assert count(tmp_path / "target") == there  # nobody goes on


def test_progress_adds_up_to_all_of_them(need: Need, total: int, mirror: LocalStore, tmp_path: Path) -> None:
    told: list[int] = []
    done = link_all(jobs(mirror, need, tmp_path / "target"), told.append)
    assert done == b"\1" * len(done)
    assert sum(told) == len(done) == total == count(tmp_path / "target")
    assert len(told) > 2


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_jobs_are_split_into_whole_ones(share: float) -> None:
    all_of_them = Jobs("s", "t", [str(number) for number in range(3 * 5)])
    first, others = all_of_them.split(share)
    assert len(first) == int(5 * share)
    assert len(first) + len(others) == len(all_of_them) == 5
    assert first.fields + others.fields == all_of_them.fields


def test_the_status_of_a_link_says_what_the_system_says_of_it(tmp_path: Path) -> None:
    """To the last bit: DVC compares the time as a float."""
    file = tmp_path / "file"
    odd = (1_730_257_678_620_673_558, 1_770_307_554_181_721_740)  # not what dividing by 1e9 makes
    for nanoseconds in (0, 1, 999_999_999, 1_766_000_001_999_999_999, *odd):
        file.write_bytes(b"content")
        file.chmod(0o444)
        os.utime(file, ns=(nanoseconds, nanoseconds))
        found = file.stat()
        linked = Linked(f"{found.st_ino} {found.st_size} {found.st_mtime_ns}", 5)
        names = ("st_ino", "st_size", "st_mtime_ns", "st_mtime", "st_mode")
        assert [getattr(linked, name) for name in names] == [getattr(found, name) for name in names]
        file.unlink()
