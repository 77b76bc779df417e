"""What remains when a transfer is killed, interrupted, or meets a full disk."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlbutler.errors import DiskFull
from mlbutler.store.engine import BringOptions, bring
from mlbutler.store.http.store import HttpStore
from mlbutler.store.interface import Need
from mlbutler.store.local import LocalStore
from mlbutler.store.send import send_to_store
from tests.store.world import Remote, add_directory, add_object, leftovers, unsound

FILES = {f"{n}": random.Random(n).randbytes(30_000) for n in range(40)}

SYNC = """
import sys
from pathlib import Path
from mlbutler.store import limits
from mlbutler.store.engine import bring
from mlbutler.store.http.store import HttpStore
from mlbutler.store.interface import Need, ObjectId
from mlbutler.store.local import LocalStore
limits.WINDOW = 3600
url, oid, cache, mirror = sys.argv[1:]
print("ready", flush=True)
bring([Need("data", ObjectId(oid))], LocalStore("cache", Path(cache)),
      LocalStore("mirror", Path(mirror), hardlink=True),
      HttpStore("origin", url, {"read_timeout": 3600}, environ={}))
print("done", flush=True)
"""


def start(remote: Remote, need: Need, cache: Path, mirror: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", SYNC, remote.url, need.oid.md5, str(cache), str(mirror)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def files(root: Path) -> int:
    return sum(1 for path in (root / "files").rglob("*") if path.is_file() and path.suffix != ".tmp")


@pytest.mark.parametrize("moment", [0, 10, 30])
def test_a_kill_leaves_whole_objects_and_the_next_run_completes(remote: Remote, tmp_path: Path, moment: int) -> None:
    need = Need("data", add_directory(remote.root, FILES))
    remote.delay = 0.01
    cache, mirror = tmp_path / "cache", tmp_path / "mirror"
    process = start(remote, need, cache, mirror)
    while files(cache) < moment and process.poll() is None:
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert not unsound(cache)
    assert not unsound(mirror)
    again = start(remote, need, cache, mirror)
    _, error = again.communicate(timeout=600)
    assert again.returncode == 0, error
    assert files(cache) == 41
    assert not unsound(cache)
    assert not unsound(mirror)


def test_ctrl_c_stops_at_once_and_leaves_nothing_unfinished(remote: Remote, tmp_path: Path) -> None:
    need = Need("data", add_directory(remote.root, FILES))
    remote.faults = {
        path: ["stall"] for path in (f"files/md5/{p.parent.name}/{p.name}" for p in remote.root.rglob("*"))
    }
    remote.faults[need.oid.key] = ["ok"]
    process = start(remote, need, tmp_path / "cache", tmp_path / "mirror")
    while not leftovers(tmp_path):
        time.sleep(0.01)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=600)  # the remote is given up later
    assert process.returncode != 0
    assert not leftovers(tmp_path)
    assert not unsound(tmp_path / "cache")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 KB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(place)], capture_output=True)
    if done.returncode != 0:
        pytest.skip("mounting is not allowed here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_cache_is_said_and_leaves_nothing_unfinished(
    remote: Remote, connect: Callable[..., HttpStore], small_disk: Path
) -> None:
    need = Need("data", add_directory(remote.root, FILES))
    cache = LocalStore("cache", small_disk / "cache")
    with pytest.raises(DiskFull) as caught:
        bring([need], cache, None, connect(remote))
    assert str(small_disk) in caught.value.message
    assert caught.value.remedy
    assert not leftovers(small_disk)
    assert not unsound(cache.root)


def test_a_full_mirror_only_slows(
    remote: Remote, connect: Callable[..., HttpStore], small_disk: Path, cache: LocalStore
) -> None:
    need = Need("data", add_directory(remote.root, FILES))
    warnings: list[str] = []
    mirror = LocalStore("mirror", small_disk / "mirror", hardlink=True)
    brought = bring([need], cache, mirror, connect(remote), BringOptions(warn=warnings.append))
    assert not brought.incomplete
    assert files(cache.root) == 41
    assert len(warnings) == 1
    assert not leftovers(small_disk)
    assert not unsound(mirror.root)


def test_a_read_only_mirror_is_read_and_otherwise_only_slows(
    remote: Remote, connect: Callable[..., HttpStore], small_disk: Path, cache: LocalStore
) -> None:
    old, new = add_object(small_disk / "mirror", b"old"), add_object(remote.root, b"new")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    warnings: list[str] = []
    mirror = LocalStore("mirror", small_disk / "mirror", hardlink=True)
    brought = bring([old, new], cache, mirror, connect(remote), BringOptions(warn=warnings.append))
    assert not brought.missing
    assert {moved.place: moved.objects for moved in brought.moved} == {"mirror": 1, "origin": 1}
    assert len(warnings) == 1


def test_a_mirror_on_another_disk_is_copied(small_disk: Path, cache: LocalStore) -> None:
    oid = add_object(cache.root, b"content")
    mirror = LocalStore("mirror", small_disk / "mirror", hardlink=True)
    send_to_store([oid], cache, mirror)
    cache.path(oid).unlink()
    assert not bring([oid], cache, mirror, None).missing
    assert cache.path(oid).read_bytes() == b"content"


def test_a_full_remote_is_an_error(small_disk: Path, cache: LocalStore) -> None:
    oids = [add_object(cache.root, content) for content in FILES.values()]
    sent = send_to_store(oids, cache, LocalStore("storage", small_disk / "storage"))
    assert isinstance(sent.errors[0], DiskFull)
    assert not leftovers(small_disk)


MANY = """
import json, re, sys
from pathlib import Path
from mlbutler.store.engine import BringOptions, bring
from mlbutler.store.interface import Need, ObjectId
from mlbutler.store.local import LocalStore
cache, oid = LocalStore("cache", Path(sys.argv[1])), ObjectId(sys.argv[2])
brought = bring([Need("data", oid)], cache, None, None)
here = {moved.place: moved.objects for moved in brought.moved}
# Not ru_maxrss: that is the parent's where the parent was larger.
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(json.dumps([here, int(peak[1]) >> 10]))
"""


def test_a_manifest_of_many_files_is_read_in_bounded_memory(tmp_path: Path) -> None:
    child = add_object(tmp_path, b"the same everywhere")
    entries = (f'{{"md5": "{child.md5}", "relpath": "d{n % 1000}/number {n}"}}' for n in range(250_000))
    content = f"[{', '.join(entries)}]"
    folder = add_object(tmp_path, content.encode(), directory=True)
    done = subprocess.run(
        [sys.executable, "-c", MANY, str(tmp_path), folder.md5], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    here, megabytes = json.loads(done.stdout)
    assert here == {"cache": 2}
    assert megabytes < 190  # what is more than Python's own grows with the files: 700 for a million of them
