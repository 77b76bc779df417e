"""A second process for work that can go on beside this one's, on another core.

It is a copy of this process, so it has to be made early: while this one is small, holds no lock and runs no thread.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_STEP = 1 << 16


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
        self._process, self._reader = process, reader

    def result(self) -> Any:
        """What the function returned, once; waits for it. None when it failed, or the process was killed."""
        parts: list[bytes] = []
        try:
            while part := os.read(self._reader, _STEP):
                parts.append(part)
        finally:
            os.close(self._reader)
        with suppress(ChildProcessError):
            os.waitpid(self._process, 0)
        try:
            return json.loads(b"".join(parts))
        except ValueError:
            return None


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
    os.close(reader)
    # Whoever reads what this program says must not wait for the second process to end as well.
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    answer = memoryview(json.dumps(function()).encode())
    while answer:
        answer = answer[os.write(writer, answer) :]
