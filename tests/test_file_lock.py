"""Locks that are files."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlbutler.errors import OutsideError
from mlbutler.file_lock import LockHeld, lock_file

HOLD = """
import sys
from pathlib import Path
from mlbutler.file_lock import lock_file
with lock_file(Path(sys.argv[1]), 0):
    print("held", flush=True)
    sys.stdin.readline()
"""


def begun(program: str, path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, str(path)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def holder(path: Path) -> subprocess.Popen[str]:
    process = begun(HOLD, path)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_one_has_it_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock_file(path, 0):
        with pytest.raises(LockHeld), lock_file(path, 0):
            pass
        done = subprocess.run([sys.executable, "-c", HOLD, str(path)], capture_output=True, text=True, check=False)
        assert "LockHeld" in done.stderr
    with lock_file(path):
        assert path.exists()


def test_it_goes_with_the_process_that_has_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with holder(path) as process:
        with pytest.raises(LockHeld), lock_file(path, 0.01):
            pass
        process.send_signal(signal.SIGKILL)
        with lock_file(path, 60):
            pass


def test_who_waits_gets_it_as_soon_as_it_is_free(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with holder(path) as process, begun(HOLD.replace(", 0)", ")"), path) as waiting:
        process.communicate("")
        assert waiting.communicate("")[0] == "held\n"


def test_a_child_that_lives_on_does_not_have_it(tmp_path: Path) -> None:
    with lock_file(tmp_path / "lock", 0):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    with child, lock_file(tmp_path / "lock", 0):
        child.communicate(b"\n")


def test_a_lock_that_was_removed_is_not_the_one_that_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, flock = tmp_path / "lock", fcntl.flock

    def removed_first(file: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        path.unlink()
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", removed_first)
    with lock_file(path, 60), pytest.raises(LockHeld), lock_file(path, 0):
        pass


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"), lock_file(tmp_path / "lock", 0):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_where_there_are_no_locks_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(file: int, how: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(OutsideError, match="no locks"), lock_file(tmp_path / "lock", 0):
        pass
