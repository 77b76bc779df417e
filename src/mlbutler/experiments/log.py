"""An experiment's log while it is written, and as it is kept."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from mlbutler.experiments.log_times import LogClock
from mlbutler.live_lines import clean
from mlbutler.symlinks import open_plain

LARGEST = 20 * 1024 * 1024
"""Bytes of a log that are kept in Git: its end."""


class LogFile:
    """A text file that is written line by line; a disk that fills up ends the log, not the experiment.

    Args:
        timed: takes the lines that say when the next ones were written. again: whether there were earlier attempts,
            beside what the file holds.
        now: the clock.
    """

    def __init__(
        self,
        path: Path,
        timed: Callable[[str], None] = lambda text: None,
        *,
        again: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._file = path.open("a", encoding="utf-8", errors="backslashreplace")
        self._timed, self._now = timed, now
        self._clock = LogClock(now(), again=again or self._file.tell() > 0)
        self._whole = True

    def __enter__(self) -> LogFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
        except OSError:
            return

    def line(self, text: str) -> None:
        """Write one line, without what would steer a terminal."""
        if said := self._clock.time_line(self._now()):
            self._timed(said)
            self._write(said)
        self._write(clean(text))

    def _write(self, text: str) -> None:
        if not self._whole:
            return
        try:
            self._file.write(text + "\n")
            self._file.flush()
        except OSError:
            self._whole = False


def read_log(path: Path, most: int = LARGEST) -> bytes:
    """Return what is kept of a log: all of it, or at most so many bytes of its end, with a line that says so."""
    try:
        with open_plain(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size <= most:
                return file.read(most)
            file.seek(size - most)
            rest = file.read(most)
    except OSError:
        return b""
    rest = rest.partition(b"\n")[2]
    return f"[the first {size - len(rest):,} bytes of this log were not kept]\n".encode() + rest
