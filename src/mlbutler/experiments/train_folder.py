"""The folder in which experiments of this machine keep what is not for Git: locks, logs, checkpoints, clones."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlbutler.symlinks import refusal

FOLDER = ".mlbutler/train"


class TrainFolder:
    """The folder ``.mlbutler/train`` of one project.

    Args:
        root: the project's root in the work tree that experiments are submitted from.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / FOLDER

    def prepare(self) -> None:
        """Make the folder; Git ignores it.

        Raises:
            PathRefused: it is a link, or in one: a commit can bring that, and lead what is kept here elsewhere.
        """
        for path in (self.path.parent, self.path):
            if path.is_symlink():
                name = path.relative_to(self.root).as_posix()
                raise refusal({name: name})
        self.path.mkdir(parents=True, exist_ok=True)
        ignore = self.path.parent / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")

    @property
    def worker_log(self) -> Path:
        """Return the file that workers write to what they cannot say elsewhere."""
        return self.path / "worker.log"

    def log_file(self, id: str) -> Path:
        """Return the file that an experiment's output goes to while it is under way."""
        return self.path / f"{id}.log"

    @property
    def checkpoints(self) -> Path:
        """Return the folder of the checkpoints of all experiments; they outlive an attempt."""
        return self.path / "checkpoints"

    def scratch(self, id: str) -> Path:
        """Return the folder of an experiment's clone."""
        return self.path / id

    def mark_sent(self, id: str) -> None:
        """Note that an experiment was sent from this work tree: a state that says so may have been fetched."""
        (self.path / f"{id}.sent").touch()

    def has_sent(self, id: str) -> bool:
        """Return whether an experiment was sent from this work tree."""
        return (self.path / f"{id}.sent").exists()

    def clear(self, id: str) -> None:
        """Remove what an experiment left here."""
        shutil.rmtree(self.scratch(id), ignore_errors=True)
        self.log_file(id).unlink(missing_ok=True)

    def forget(self, id: str) -> None:
        """Remove all of an experiment that is no more, its lock too."""
        self.clear(id)
        shutil.rmtree(self.checkpoints / id, ignore_errors=True)
        (self.path / f"{id}.sent").unlink(missing_ok=True)
        with self.lock(id) as ours:
            if ours:
                (self.path / f"{id}.lock").unlink(missing_ok=True)

    @contextmanager
    def lock(self, name: str, timeout: float = 0) -> Iterator[bool]:
        """Hold a lock while the context is open; yields False where another process holds it.

        The machine lets go of the lock when the process that holds it ends, however it ends.

        Args:
            timeout: seconds to wait for it; negative: forever.
        """
        self.prepare()
        with self._acquire(name, timeout) as ours:
            yield ours

    @contextmanager
    def _acquire(self, name: str, timeout: float) -> Iterator[bool]:
        from filelock import FileLock, Timeout

        lock = FileLock(self.path / f"{name}.lock", timeout=timeout)
        try:
            lock.acquire()
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def is_locked(self, name: str) -> bool:
        """Tell whether some process holds this lock now."""
        if not os.path.exists(self.path / f"{name}.lock"):  # noqa: PTH110 - False for what must not be looked at
            return False
        try:
            with self._acquire(name, 0) as ours:
                return not ours
        except OSError:  # of another user
            return False
