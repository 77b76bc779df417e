"""A second process for work that can go on beside this one's, on another core.

It is a copy of this process, so it has to be made early: while this one is small, holds no lock and runs no thread.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_STEP = 1 << 16
_FIRST = 3
_MOST = 1 << 16
"""Descriptors below this number are closed in the second process; more are hardly ever allowed."""


def cores() -> int:
    """How many processes can run at once here."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this operating system
        return os.cpu_count() or 1


class Forked:
    """What a second process is finding out.

    Args:
        process: its id. reader: where its answer can be read from.
    """

    def __init__(self, process: int, reader: int) -> None:
        self._process, self._reader, self._owner = process, reader, os.getpid()
        # One that nobody asks must not outlive us, nor stay a zombie where process 1 takes care of none.
        atexit.register(self.stop)

    def result(self) -> Any:
        """What the function returned, once; waits for it. None when it failed, or the process was killed."""
        parts: list[bytes] = []
        try:
            while part := os.read(self._reader, _STEP):
                parts.append(part)
        finally:
            self.stop()
        try:
            return json.loads(b"".join(parts))
        except ValueError:
            return None

    def stop(self) -> None:
        """Let it do no more; nothing is left of it."""
        atexit.unregister(self.stop)
        if self._reader < 0 or os.getpid() != self._owner:
            return
        os.close(self._reader)
        self._reader = -1
        with suppress(OSError):  # its answer is read, or not wanted
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)


def forked(function: Callable[[], Any]) -> Forked | None:
    """Run a function in a second process; None where that cannot be, or would be no help.

    Args:
        function: what it returns can be written as JSON. It must change nothing.
    """
    if not hasattr(os, "fork") or cores() < 2 or threading.active_count() > 1:
        return None
    reader, writer = os.pipe()
    try:
        process = os.fork()
    except OSError:  # no more processes are allowed
        os.close(reader)
        os.close(writer)
        return None
    if process:
        os.close(writer)
        return Forked(process, reader)
    try:
        _answer(function, reader, writer)
    finally:
        os._exit(0)


def _answer(function: Callable[[], Any], reader: int, writer: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    # Whoever reads what this program says, or waits for a lock that it was given, must not wait for the second
    # process to end as well.
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(_FIRST):
        os.dup2(nothing, stream)
    os.closerange(_FIRST, writer)
    os.closerange(writer + 1, _MOST)
    answer = memoryview(json.dumps(function()).encode())
    while answer:
        answer = answer[os.write(writer, answer) :]
