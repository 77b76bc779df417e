"""End what runs in an experiment: the stage is asked first, and nothing of it is left afterwards."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mlbutler.variables import EXPERIMENT

if TYPE_CHECKING:
    import psutil

_SHELLS = frozenset(("sh", "bash", "dash", "zsh", "ksh", "fish", "busybox"))
_OURS = "mlbutler.reproduce.worker"
_LAST = 10.0


def end_stage(pid: int, grace: float, wait: Callable[[float], None]) -> bool:
    """Ask the commands of the stage that runs to end, wait, and kill all that was started.

    Returns:
        Whether the stage ended before it was killed.

    What runs the stage is halted before: a stage that ends well because it was asked to has not been completed, and
    DVC must not record it.

    Args:
        pid: of `mlbutler run`. grace: seconds. wait: passes output on for so many seconds.
    """
    import psutil

    try:
        root = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return True
    until, asked = time.monotonic() + grace, set[int]()
    while (stage := _working(root)) and time.monotonic() < until:
        for process in stage:
            if process.pid not in asked:
                asked.add(process.pid)
                _signal(process.terminate)
        wait(0.1)
    if not stage:
        wait(0.3)  # for its last words
    for process in (root, *_alive(root)):  # first who would take note of how its children ended
        _signal(process.kill)
    return not stage


def _working(root: psutil.Process) -> list[psutil.Process]:
    """Return what runs of a stage; halt what runs the stage, and shells that wait for a command of theirs.

    A shell would go on to its next command.
    """
    working = []
    for process in _alive(root):
        if _is_ours(process) or _waits(process):
            _signal(process.suspend)
        elif not _is_halted(process):
            working.append(process)
    return working


def end_leftovers(id: str, scratch: Path) -> int:
    """Kill every process of an experiment whose own process is gone; return how many are left all the same.

    Args:
        scratch: the folder of its clone, in which `mlbutler run` works.
    """
    until = time.monotonic() + _LAST
    while True:
        left = list(_of(id, scratch))
        if not left or time.monotonic() > until:
            return len(left)
        for process in left:
            _signal(process.kill)
        time.sleep(0.05)


def _of(id: str, scratch: Path) -> Iterator[psutil.Process]:
    import psutil

    for process in psutil.process_iter():
        # mlbutler's own show their environment to nobody: one names the folder in its command, others are its children.
        with contextlib.suppress(psutil.Error, OSError):
            if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                continue
            words = process.cmdline()
            if "mlbutler" in words and any(word.startswith(str(scratch)) for word in words):
                yield process
                yield from _alive(process)
                continue
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(EXPERIMENT) == id:
                yield process


def _alive(root: psutil.Process) -> Iterator[psutil.Process]:
    import psutil

    with contextlib.suppress(psutil.Error):
        for process in root.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE:
                    yield process


def _is_ours(process: psutil.Process) -> bool:
    import psutil

    try:
        return _OURS in process.cmdline()
    except psutil.Error:
        return False


def _waits(process: psutil.Process) -> bool:
    import psutil

    try:
        return process.name() in _SHELLS and bool(process.children())
    except psutil.Error:
        return False


def _is_halted(process: psutil.Process) -> bool:
    import psutil

    try:
        return bool(process.status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def _signal(send: Callable[[], None]) -> None:
    import psutil

    with contextlib.suppress(psutil.Error):
        send()
