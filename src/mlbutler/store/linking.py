"""Many hardlinks at once, some of them by a second process: the kernel makes links on two cores side by side."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from mlbutler.frozen import frozen
from mlbutler.state.fingerprint import from_text
from mlbutler.store import linker
from mlbutler.store.interface import ObjectId

MANY = 4000
"""Links that are worth starting a process for."""
MOST = 100_000
"""Links for which memory is taken at once."""
_AT_ONCE = 512 * linker.FIELDS


@frozen
class Jobs:
    """The arguments of `linker.link`: many links to make."""

    source: str
    target: str
    fields: list[str]

    @classmethod
    def of(cls, source: Path, target: Path, jobs: Iterable[tuple[ObjectId, str, str]]) -> Jobs:
        """Return jobs from object (of DVC 3), name below `target` ('': its own) and status ('': any) of each.

        Args:
            source: holds ``files/md5``.
        """
        return cls(f"{source}/files/md5", str(target), [field for oid, name, s in jobs for field in (oid[0], name, s)])

    def __len__(self) -> int:
        return len(self.fields) // linker.FIELDS

    def split(self, share: float) -> tuple[Jobs, Jobs]:
        """Return the first of them, and the others."""
        cut = int(len(self) * share) * linker.FIELDS
        return Jobs(self.source, self.target, self.fields[:cut]), Jobs(self.source, self.target, self.fields[cut:])


class Linked:
    """The status of a file that was just linked, as far as its object's memory knows it (as `os.stat_result`).

    Args:
        status: its fingerprint. when: when it was linked, nanoseconds since the epoch.
    """

    __slots__ = ("st_ctime_ns", "st_ino", "st_mtime_ns", "st_size")

    st_mode = stat.S_IFREG | 0o444
    st_nlink = 2

    def __init__(self, status: str, when: int) -> None:
        self.st_ino, self.st_size, self.st_mtime_ns = from_text(status)
        self.st_ctime_ns = when

    @property
    def st_mtime(self) -> float:
        """Return seconds, to the last bit what `os.stat` says: DVC compares them."""
        return self.st_mtime_ns // 10**9 + 1e-9 * (self.st_mtime_ns % 10**9)


def cores() -> int:
    """Return how many processes can run at once here."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this operating system
        return os.cpu_count() or 1


class LinkWorker:
    """Jobs that a second process does.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, jobs: Jobs) -> None:
        self._count = len(jobs)
        with tempfile.TemporaryFile() as file:
            file.write(os.fsencode("\0".join((jobs.source, jobs.target, *jobs.fields))))
            file.seek(0)
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(Path(linker.__file__))],
                stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={},
            )  # fmt: skip

    def result(self) -> bytes:
        """Wait, and return a byte for each job, as `linker.link`; those that it did not come to are not done."""
        with self._process as process:
            assert process.stdout is not None
            answer = process.stdout.read()
        done = answer.removeprefix(linker.HEAD)
        if done == answer or len(done) > self._count or done.strip(b"\0\1"):  # no answer of our program
            done = b""
        return done.ljust(self._count, b"\0")

    def stop(self) -> None:
        """Do no more."""
        self._process.kill()
        self._process.wait()


def start_worker(jobs: Jobs) -> LinkWorker | None:
    """Let a second process do these jobs; None where it would be no help, or cannot be started."""
    if len(jobs) < MANY // 2 or cores() < 2 or not sys.executable:
        return None
    try:
        return LinkWorker(jobs)
    except OSError:  # no more processes are allowed, or there is no space for the list
        return None


class Linking:
    """Jobs under way in a second process, but for the share that is left for this one.

    Args:
        here: that share; where there is no second process, all of them are done here.
    """

    def __init__(self, jobs: Jobs, here: float) -> None:
        self._mine, self._others = jobs.split(here)
        self._worker = start_worker(self._others)

    def finish(self, each: Callable[[int], None]) -> bytes:
        """Do this process's share, wait for the others, and return a byte for each job, as `linker.link`.

        Args:
            each: called after some of them with how many were looked at; it may raise to stop.
        """
        try:
            done = link_here(self._mine, each)
            if self._worker is None:
                return done + link_here(self._others, each)
            rest = self._worker.result()
        except BaseException:
            self.stop()
            raise
        each(len(rest))
        return done + rest

    def stop(self) -> None:
        """Make no more links."""
        if self._worker is not None:
            self._worker.stop()


def link_all(jobs: Jobs, each: Callable[[int], None]) -> bytes:
    """Do these jobs, half of them in a second process; return a byte for each, as `linker.link`.

    Args:
        each: as for `Linking.finish`.
    """
    return Linking(jobs, 0.5).finish(each)


def link_here(jobs: Jobs, each: Callable[[int], None]) -> bytes:
    """Do these jobs as `link_all` does, without a second process."""
    done = b""
    for start in range(0, len(jobs.fields), _AT_ONCE):
        some = linker.link(jobs.source, jobs.target, jobs.fields[start : start + _AT_ONCE])
        done += some
        each(len(some))
    return done
