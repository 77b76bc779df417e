"""A directory of the work tree as hardlinks to objects, which a second process makes while this one does other things.

Where the mirror holds all of a directory, its links are begun before the cache has them: mirror, cache and work tree
then share the files, so that it does not matter which of their names is linked.
"""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from typing import Self

from mlbutler.project.dvc_state import DvcStateWriter
from mlbutler.state.fingerprint import Status
from mlbutler.state.verified import VerifiedObjects
from mlbutler.store.interface import Need, ObjectId
from mlbutler.store.linking import MANY, Jobs, Linked, Linking
from mlbutler.store.local import LocalStore
from mlbutler.store.transfer import ProgressSink

_PREFIX = "mlbutler-"
_NUMBERS = itertools.count()
_HERE = 0.25
"""The share of the links that is made here where nothing else is under way."""


_MOST = 2
"""Directories that are begun at once."""


def new_scratch(root: Path) -> Path:
    """Return where to build an artifact of the project at `root` before it is renamed; only its folder is there yet.

    The clone is locked: what lies there of another process was left by one that was killed.
    """
    folder, mine = root / ".dvc" / "tmp", f"{_PREFIX}{os.getpid()}-"
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{_PREFIX}*"):
        if not left.name.startswith(mine):
            clear(left)
    scratch = folder / f"{mine}{next(_NUMBERS)}"
    clear(scratch)
    return scratch


def make_folders(scratch: Path, paths: Iterable[str]) -> None:
    """Make the directory at `scratch` with the folders of these paths below it; return its path.

    Raises:
        OSError: they cannot be made.
    """
    scratch.mkdir()
    for folder in sorted({path.rpartition("/")[0] for path in paths} - {""}):
        (scratch / folder).mkdir(parents=True, exist_ok=True)


def clear(scratch: Path) -> None:
    """Remove what was begun."""
    if scratch.is_dir() and not scratch.is_symlink():
        shutil.rmtree(scratch, ignore_errors=True)
    else:
        scratch.unlink(missing_ok=True)


class DirectoryLinks:
    """The links of one directory, under way.

    Where a file is replaced before it is linked, the status that is kept of it is not its own: DVC compares them, and
    hashes it.

    Args:
        scratch: the directory, with all its folders. store: holds ``files/md5``.
        files: path and object. statuses: of the objects' files; those of others are left out.
        here: the share that is left for this process.
    """

    def __init__(
        self, scratch: Path, store: Path, files: Iterable[tuple[str, ObjectId]], statuses: Mapping[ObjectId, str],
        here: float = _HERE,
    ) -> None:  # fmt: skip
        self.scratch, self._statuses = scratch, statuses
        jobs = [(oid, path) for path, oid in files if oid in statuses]
        jobs.sort(key=itemgetter(0))  # as they lie on the disk, which then writes half as much
        self._jobs = jobs
        self._linking = Linking(Jobs.of(store, scratch, ((oid, path, "") for oid, path in jobs)), here)

    def finish(
        self,
        verified: VerifiedObjects,
        state_writer: DvcStateWriter,
        progress: ProgressSink | None,
    ) -> dict[str, Status]:
        """Wait for the links, adding them to DVC's state database meanwhile; return the statuses of those that exist.

        Args:
            verified: knows the files of the cache's objects; a link to another file is taken back.
        """
        known = verified.fingerprints([oid for oid, _ in self._jobs])
        future = {
            path: Linked(self._statuses[oid], time.time_ns())
            for oid, path in self._jobs
            if known.get(oid) == self._statuses[oid]
        }
        try:
            state_writer.preregister(future)
            done = self._linking.finish(lambda count: progress.advance(objects=count) if progress is not None else None)
        except BaseException:
            self.stop()
            raise
        when = time.time_ns()
        made: dict[str, Status] = {}
        for (_, path), one in zip(self._jobs, done, strict=True):
            linked = future.get(path)
            if one and linked is not None:
                linked.st_ctime_ns = when
                made[path] = linked
            else:
                with suppress(FileNotFoundError):
                    (self.scratch / path).unlink()
        return made

    def stop(self) -> None:
        """Make no more links."""
        self._linking.stop()


class EagerLinks:
    """Directories whose links were begun while their objects are still being brought.

    Args:
        root: the project's root. mirror: holds the objects. paths: artifacts that may be begun.
    """

    def __init__(self, root: Path, mirror: LocalStore | None, paths: Collection[str]) -> None:
        self._root, self._mirror, self._paths = root, mirror, paths
        self._begun: dict[str, DirectoryLinks] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Give up what was begun and not taken."""
        for begun in self._begun.values():
            begun.stop()
            clear(begun.scratch)
        self._begun.clear()

    def begin(self, need: Need, files: Mapping[str, ObjectId]) -> None:
        """Begin with a directory that has to be brought, if the mirror holds all of it; `files`: path -> object."""
        mirror = self._mirror
        if mirror is None or len(files) < MANY or need.path not in self._paths or need.oid.legacy or need.inside:
            return
        if len(self._begun) >= _MOST or not mirror.links_at_once or os.path.lexists(self._root / need.path):
            return
        statuses = mirror.verified.fingerprints(files.values())
        if len(statuses) < len(set(files.values())):
            return
        scratch = new_scratch(self._root)
        try:
            make_folders(scratch, files)
            self._begun[need.path] = DirectoryLinks(scratch, mirror.root, files.items(), statuses, here=0.0)
        except OSError:  # said when it is tried in its turn
            clear(scratch)

    def pop(self, path: str) -> DirectoryLinks | None:
        """Return what was begun of an artifact, once."""
        return self._begun.pop(path, None)
