"""Time whole processes, the interpreter's start included: by clock and processor; and peak resident memory."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Took:
    """What one process, or several one after the other, cost.

    Attributes:
        seconds: wall time. peak: highest resident memory of any of them, bytes.
        processor: seconds of it, those of the processes that they waited for included.
    """

    seconds: float
    peak: int
    processor: float

    def __add__(self, other: Took) -> Took:
        return Took(
            self.seconds + other.seconds, max(self.peak, other.peak), self.processor + other.processor
        )  # fmt: skip


class Failed(RuntimeError):
    """A measured command did not do its work; a time of it would mean nothing."""


def run(command: Sequence[str | Path], cwd: Path, environ: Mapping[str, str], *, codes: Sequence[int] = (0,)) -> Took:
    """Run one command to its end.

    Raises:
        Failed: its exit code is not one of `codes`.
    """
    words = [str(word) for word in command]
    start = time.perf_counter()
    process = subprocess.Popen(words, cwd=cwd, env=dict(environ), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in codes:
        raise Failed(f"{' '.join(words)}: exit code {process.returncode}\n{said.decode(errors='replace')[-3000:]}")
    return Took(seconds, usage.ru_maxrss * 1024, usage.ru_utime + usage.ru_stime)


def run_all(commands: Sequence[Sequence[str | Path]], cwd: Path, environ: Mapping[str, str]) -> Took:
    """Run commands one after the other.

    Raises:
        Failed: one of them failed.
    """
    total = Took(0.0, 0, 0.0)
    for command in commands:
        total += run(command, cwd, environ)
    return total
