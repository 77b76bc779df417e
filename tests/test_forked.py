"""A second process: what it found out, and that it disturbs nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlbutler import forked as module
from mlbutler.forked import forked

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system forks no processes")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inside: st.lists(inside, max_size=5) | st.dictionaries(st.text(), inside, max_size=5),
    max_leaves=10,
)


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine has, and whatever threads other tests have left."""
    monkeypatch.setattr(module, "cores", lambda: 2)
    monkeypatch.setattr(threading, "active_count", lambda: 1)


def answer(function: Callable[[], Any]) -> Any:
    process = forked(function)
    assert process is not None
    return process.result()


def gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


@needs_fork
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(JSON)
def test_what_the_function_returned_comes_back(value: Any) -> None:
    assert answer(lambda: value) == value


@needs_fork
def test_an_answer_larger_than_any_pipe_comes_back_from_another_process_which_ends() -> None:
    process, names = answer(lambda: (os.getpid(), [f"file {n} é \udce9" for n in range(100_000)]))
    assert process != os.getpid()
    assert gone(process)  # waited for: no zombie is left
    assert (len(names), names[-1]) == (100_000, "file 99999 é \udce9")


def fails() -> None:
    raise KeyError("no")


def is_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@needs_fork
@pytest.mark.parametrize("function", [fails, is_killed, lambda: object(), lambda: sys.exit(3)])
def test_a_second_process_that_fails_has_no_answer(
    function: Callable[[], Any], capfd: pytest.CaptureFixture[str]
) -> None:
    assert answer(function) is None
    assert capfd.readouterr() == ("", "")


@needs_fork
def test_one_that_is_killed_from_outside_half_way_has_no_answer(tmp_path: Path) -> None:
    def slow() -> str:
        (tmp_path / "process").write_text(str(os.getpid()))
        (tmp_path / "process").rename(tmp_path / "begun")
        time.sleep(60)
        return "too late"

    process = forked(slow)
    assert process is not None
    until = time.monotonic() + 300
    while not (tmp_path / "begun").exists() and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(int((tmp_path / "begun").read_text()), signal.SIGKILL)
    assert process.result() is None


def stops() -> str:
    os.kill(os.getpid(), signal.SIGTERM)
    return "still there"


@needs_fork
def test_a_signal_stops_it_at_once_although_we_are_patient() -> None:
    previous = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assert answer(stops) is None
    finally:
        signal.signal(signal.SIGTERM, previous)


PROGRAM = """
import os, subprocess, sys, threading, time
from mlbutler import forked
forked.cores = lambda: {cores}
{more}
def slow():
    print("from Python", flush=True)
    print("as an error", file=sys.stderr, flush=True)
    subprocess.run(["sh", "-c", "echo from a child; echo wrong >&2"], check=True)
    heard = sys.stdin.read()
    with open({begun!r}, "w"): pass
    time.sleep({seconds})
    return heard
process = forked.forked(slow)
print("none" if process is None else "forked", flush=True)
while process is not None and not os.path.exists({begun!r}):
    time.sleep(0.01)
{last}
"""


def run(tmp_path: Path, *, cores: int = 2, seconds: float = 0, more: str = "", last: str = "") -> str:
    """What a program of its own says that starts a second process, and waits for it only if it does so at `last`."""
    program = PROGRAM.format(cores=cores, seconds=seconds, more=more, last=last, begun=str(tmp_path / "begun"))
    done = subprocess.run(
        [sys.executable, "-c", program], input="to the program", capture_output=True, text=True, check=True, timeout=500
    )
    assert done.stderr == ""
    return done.stdout


@needs_fork
def test_nothing_that_it_says_reaches_our_output_and_it_reads_nothing_of_our_input(tmp_path: Path) -> None:
    assert run(tmp_path, last="print(repr(process.result()), sys.stdin.read())") == "forked\n'' to the program\n"


@needs_fork
def test_whoever_reads_our_output_does_not_wait_for_the_second_process(tmp_path: Path) -> None:
    begun = time.monotonic()
    assert run(tmp_path, seconds=60) == "forked\n"  # reads to the end of the stream
    assert time.monotonic() - begun < 55


@needs_fork
def test_there_is_none_on_one_core_or_beside_threads(tmp_path: Path) -> None:
    assert run(tmp_path, cores=1) == "none\n"
    thread = "threading.Thread(target=time.sleep, args=(0.3,)).start()"
    assert run(tmp_path, more=thread) == "none\n"


def test_there_is_none_where_no_more_processes_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refused, raising=False)
    before = len(list(Path("/dev/fd").glob("*")))
    assert forked(lambda: 1) is None
    assert len(list(Path("/dev/fd").glob("*"))) == before  # the pipe is closed


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to cores")
def test_cores_are_those_that_this_process_may_use() -> None:
    program = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from mlbutler.forked import cores; print(cores())"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "1\n"
