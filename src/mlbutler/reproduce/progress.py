"""Share what stages are doing right now with other processes."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlbutler import atomic
from mlbutler.frozen import frozen
from mlbutler.record import StageRun
from mlbutler.secrets import Redactor

_FILE, _LOCK = "progress.json", "progress.lock"


@frozen
class StageProgress:
    """Stages under way.

    Attributes:
        head: the commit that is checked out. started: seconds since the epoch.
        stages: how many there are to run. done: those that have ended, in order.
        running: the stage that runs now, '' between two.
    """

    head: str
    started: float
    stages: int
    running: str = ""
    done: tuple[StageRun, ...] = ()


class Writer:
    """Writes the progress at each start and end of a stage; that it cannot is no reason to stop a stage."""

    def __init__(self, root: Path, head: str, stages: int, redactor: Redactor) -> None:
        self._path, self._redactor = root / ".mlbutler" / _FILE, redactor
        self._now = StageProgress(head, time.time(), stages)
        self._write()

    def mark_started(self, stage: str) -> None:
        """Note that `stage` begins to run."""
        self._now = dataclasses.replace(self._now, running=stage)
        self._write()

    def mark_ended(self, run: StageRun) -> None:
        """Note that a stage has ended."""
        done = dataclasses.replace(run, tail=())  # the report of the whole run shows logs
        self._now = dataclasses.replace(self._now, running="", done=(*self._now.done, done))
        self._write()

    def _write(self) -> None:
        text = self._redactor.hide(json.dumps(dataclasses.asdict(self._now)))
        with suppress(OSError):
            atomic.write(self._path, text.encode("utf-8"))


@contextmanager
def writing(root: Path, head: str, stages: int, redactor: Redactor) -> Iterator[Writer]:
    """Open a writer whose file says what runs while it is open, and is gone afterwards."""
    from filelock import FileLock

    folder = root / ".mlbutler"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / _LOCK):
        try:
            yield Writer(root, head, stages, redactor)
        finally:
            (folder / _FILE).unlink(missing_ok=True)


def load_progress(root: Path) -> StageProgress | None:
    """Return what runs now, None when nothing does: a file that a killed run left behind does not count."""
    from filelock import FileLock, Timeout

    try:
        content = (root / ".mlbutler" / _FILE).read_bytes()
        with FileLock(root / ".mlbutler" / _LOCK, timeout=0):
            return None
    except Timeout:
        return _parse_progress(content)
    except OSError:
        return None


def read_ended_stages(root: Path) -> tuple[StageRun, ...]:
    """Return the stages that had ended when a run was killed; none when it came to its end."""
    try:
        found = _parse_progress((root / ".mlbutler" / _FILE).read_bytes())
    except OSError:
        return ()
    return found.done if found is not None else ()


def _parse_progress(content: bytes) -> StageProgress | None:
    """Return what the file says, None where it is damaged: code of the project may have written it."""
    import msgspec

    try:
        found = msgspec.json.decode(content, type=StageProgress)
    except (ValueError, RecursionError):
        return None
    return dataclasses.replace(found, done=tuple(dataclasses.replace(run, tail=()) for run in found.done))
