"""What runs in an experiment is asked to end, and then nothing of it is left."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from mlbutler.experiments.attempt import TimeLeft
from mlbutler.experiments.shutdown import end_leftovers, end_stage
from mlbutler.reproduce.progress import writing
from mlbutler.secrets import Redactor
from mlbutler.variables import EXPERIMENT

_SAVES = """
import pathlib, signal, sys, time
def stop(*_):
    time.sleep(0.3)
    pathlib.Path("saved").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
pathlib.Path("begun").touch()
time.sleep(600)
"""
_STUBBORN = """
import pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path("begun").touch()
time.sleep(600)
"""

Start = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a shell command as the stage of something that waits for it; returns once the program has begun."""
    (tmp_path / "saves.py").write_text(_SAVES)
    (tmp_path / "stubborn.py").write_text(_STUBBORN)
    started = []

    def run(command: str) -> subprocess.Popen[bytes]:
        outer = f"import subprocess\nsubprocess.run({command!r}, shell=True)\nopen('recorded', 'w')"
        environ = {**os.environ, EXPERIMENT: str(tmp_path), "PYTHON": sys.executable}
        process = subprocess.Popen([sys.executable, "-c", outer], cwd=tmp_path, env=environ, start_new_session=True)
        started.append(process)
        until = time.monotonic() + 600
        while not (tmp_path / "begun").exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
    end_leftovers(str(tmp_path), tmp_path)


def left_processes(folder: Path) -> list[list[str]]:
    found = [one for one in psutil.process_iter(["environ", "cmdline", "status"]) if one.info["environ"]]
    return [
        one.info["cmdline"]
        for one in found
        if one.info["environ"].get(EXPERIMENT) == str(folder) and one.info["status"] != psutil.STATUS_ZOMBIE
    ]


def nothing_is_left(folder: Path) -> bool:
    """Wait until what was killed is gone, which the machine may do later; minutes, against a hang."""
    until = time.monotonic() + 600
    while left_processes(folder) and time.monotonic() < until:
        time.sleep(0.05)
    return not left_processes(folder)


def test_a_program_is_let_end_and_its_shell_does_not_go_on(tmp_path: Path, start: Start) -> None:
    process = start('"$PYTHON" saves.py; touch next')
    end_stage(process.pid, 300, time.sleep)
    process.wait(timeout=600)
    assert (tmp_path / "saved").exists()
    assert not (tmp_path / "next").exists()
    assert nothing_is_left(tmp_path)


def test_what_does_not_end_is_killed(tmp_path: Path, start: Start) -> None:
    process = start('"$PYTHON" saves.py & "$PYTHON" stubborn.py')
    end_stage(process.pid, 1, time.sleep)
    process.wait(timeout=600)
    assert not (tmp_path / "recorded").exists()
    assert nothing_is_left(tmp_path)


def test_without_grace_nobody_is_asked(tmp_path: Path, start: Start) -> None:
    process = start('"$PYTHON" saves.py')
    end_stage(process.pid, 0, time.sleep)
    process.wait(timeout=600)
    assert not (tmp_path / "saved").exists()
    assert nothing_is_left(tmp_path)


def test_what_left_its_session_is_found_by_its_environment(tmp_path: Path, start: Start) -> None:
    process = start('setsid "$PYTHON" stubborn.py & sleep 600')
    process.kill()
    process.wait()
    assert left_processes(tmp_path) != []
    assert end_leftovers(str(tmp_path), tmp_path) == 0
    assert left_processes(tmp_path) == []


def test_what_is_gone_already_is_no_error() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    end_stage(process.pid, 1, time.sleep)


def test_its_time_counts_from_the_first_stage_that_runs(tmp_path: Path) -> None:
    left = TimeLeft(100.0, tmp_path)
    assert left() == math.inf
    with writing(tmp_path, "c" * 40, 2, Redactor(())) as writer:
        assert left() == math.inf, "it is still planned, or its data brought"
        writer.mark_started("train")
        assert left() <= 100
    assert left() <= 100, "between two stages too"
    assert TimeLeft(None, tmp_path)() == math.inf
