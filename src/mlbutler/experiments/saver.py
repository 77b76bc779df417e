"""Take snapshots of checkpoints while a stage writes them, without keeping it waiting."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mlbutler.console import human_bytes
from mlbutler.experiments.checkpoints import Checkpoints, Unsettled, files_at
from mlbutler.settings.train import TrainSettings
from mlbutler.symlinks import Symlinks

_QUIET = 5.0
"""Seconds for which nothing of a checkpoint may have changed: a pause between two of its files is not its end."""
_REACTION = 0.05


class CheckpointSaver:
    """The snapshots of one attempt.

    Args:
        own: where they are kept. root: the project's. paths: returns what is to be kept, from there.
        every: seconds from one to the next. say: takes lines for the log.
    """

    def __init__(
        self, own: Checkpoints, root: Path, paths: Callable[[], Sequence[str]], attempt: int, every: float,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._own, self._root, self._paths, self._attempt = own, root, paths, attempt
        self._every, self._say = every, say
        self._quiet = min(_QUIET, every / 4)
        self._due = time.monotonic() + every
        self._thread: threading.Thread | None = None
        self._stop = False
        self._failed = ""

    def poll(self, pid: int) -> None:
        """Begin a snapshot when one is due and nothing is being written.

        Args:
            pid: of the process below which the stages run.
        """
        if time.monotonic() < self._due or (self._thread is not None and self._thread.is_alive()):
            return
        times = self._times()
        # One file alone has no pause between two of its files: it may be written every other second.
        pause = self._quiet if len(times) > 1 else 0.0
        if not times or time.time() - max(times) < pause or _is_written(pid, self._root, self._paths()):
            if times and time.monotonic() > self._due + self._every:
                self._fail("some of their files are always being written")
            return
        self._due = time.monotonic() + self._every
        self._thread = threading.Thread(target=self._save, daemon=True)
        self._thread.start()

    def save_last(self, asked: float, *, by_itself: bool) -> None:
        """Take the last snapshot after a stage was asked to end, unless it was killed while it wrote one.

        Args:
            asked: when it was asked, seconds since the epoch. by_itself: it was not killed.
        """
        self.close()
        self._stop = False
        newest = max(self._times(), default=None)
        if newest is not None and (newest < asked - self._quiet or (by_itself and newest > asked + _REACTION)):
            self._save()

    def close(self) -> None:
        """Stop a snapshot that is being copied."""
        self._stop = True
        if self._thread is not None:
            self._thread.join()

    def _times(self) -> list[float]:
        """Return when each of its files changed last, seconds since the epoch."""
        return [found.st_mtime for _, found in files_at(self._root, self._paths())]

    def _save(self) -> None:
        try:
            kept = self._own.save(self._root, self._paths(), self._attempt, lambda: self._stop)
        except Unsettled as error:
            self._due = min(self._due, time.monotonic() + self._quiet)
            if not self._stop:
                self._fail(str(error))
            return
        if kept is not None:
            self._say(f"Checkpoint kept: {human_bytes(kept.size)}.")

    def _fail(self, why: str) -> None:
        """Say once why nothing was kept."""
        if why != self._failed:
            self._failed = why
            self._say(f"The checkpoints could not be kept: {why}.")


def restore_checkpoint(own: Checkpoints, root: Path, links: Symlinks, say: Callable[[str], None]) -> str:
    """Bring back the newest checkpoint of an earlier attempt; return which it is, '' for none.

    Args:
        root: the project's, in which nothing runs. links: of that.

    Raises:
        PathRefused: a link lies in the way.
    """
    back = own.restore(root, links.check)
    if back is None:
        return ""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(back.saved))
    said = f"attempt {back.attempt}, checkpoint of {when}"
    say(f"It is resumed from {said}.")
    return said


def saver_factory(
    own: Checkpoints, root: Path, train: TrainSettings, attempt: int, say: Callable[[str], None]
) -> Callable[[Callable[[], Sequence[str]]], CheckpointSaver]:
    """Return what makes a saver, given the paths of outputs that DVC leaves in place."""
    return lambda persisted: CheckpointSaver(
        own, root, lambda: (*persisted(), *train.checkpoints), attempt, train.checkpoint_every, say
    )


def _is_written(pid: int, root: Path, paths: Sequence[str]) -> bool:
    """Tell whether a process of the run has one of these files open for writing."""
    import psutil

    places = tuple(str((root / path).resolve()) for path in paths)
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error, OSError):
                for file in process.open_files():
                    if file.mode != "r" and any(file.path == one or file.path.startswith(f"{one}/") for one in places):
                        return True
    return False
