"""What a killed DVC left behind does not stop the next run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlbutler.reproduce.rwlock import repair_rwlock
from tests import forked_python


@pytest.mark.parametrize(("content", "stays"), [("", False), ('{"a"', False), ("{}", True)])
def test_only_a_torn_file_goes(tmp_path: Path, content: str, stays: bool) -> None:
    path = tmp_path / ".dvc" / "tmp" / "rwlock"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    repair_rwlock(tmp_path)
    assert path.exists() is stays


@pytest.mark.parametrize(("written", "stays"), [(-100, False), (100, True)])
def test_a_number_that_another_process_has_by_now_holds_nothing(tmp_path: Path, written: int, stays: bool) -> None:
    path = tmp_path / ".dvc" / "tmp" / "rwlock"
    path.parent.mkdir(parents=True)
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(999)"])
    try:
        info = {"pid": other.pid, "cmd": "dvc repro"}
        gone = {"pid": 2**22 + 1, "cmd": "dvc repro"}
        path.write_text(json.dumps({"read": {"/a": [info, gone], "/b": [info]}, "write": {"/c": info, "/d": gone}}))
        born = time.time()
        os.utime(path, (born + written, born + written))
        repair_rwlock(tmp_path)
    finally:
        other.kill()
        other.wait()
    left = json.loads(path.read_text())
    if stays:
        assert left == {"read": {"/a": [info, gone], "/b": [info]}, "write": {"/c": info, "/d": gone}}
    else:
        assert left == {"read": {"/a": [gone]}, "write": {"/d": gone}}


def goes_on_once_repaired(root: Path, holder: int) -> None:
    """DVC refuses to run a stage while this process is said to hold its output, and runs it after the repair."""
    path = root / ".dvc" / "tmp" / "rwlock"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"write": {str(root / "prepared.txt"): {"pid": holder, "cmd": "dvc repro"}}}))
    command = ["dvc", "repro", "-q", "-f", "prepare"]
    assert forked_python.run(*command, cwd=root).returncode != 0
    repair_rwlock(root)
    assert forked_python.run(*command, cwd=root).returncode == 0


def test_after_that_dvc_itself_goes_on(full: Path) -> None:
    other = subprocess.Popen(["sleep", "999"])
    try:
        goes_on_once_repaired(full, other.pid)
    finally:
        other.kill()
        other.wait()


def test_a_zombie_holds_nothing(full: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    try:
        os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has reaped it
        goes_on_once_repaired(full, dead.pid)
    finally:
        dead.wait()


@pytest.mark.parametrize("content", ["[]", '{"read": 3}', '{"read": {"/a": []}}', '{"write": {"/a": {"pid": "x"}}}'])
def test_a_lock_of_another_form_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / ".dvc" / "tmp" / "rwlock"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    repair_rwlock(tmp_path)
    assert json.loads(path.read_text()) == json.loads(content)
