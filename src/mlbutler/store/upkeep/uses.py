"""Record who used which artifacts of the mirror, and when: eviction removes the least recently used.

Each build leaves a small file that names the artifacts it needed, and holds a lock on it as long as its process lives.
Times of the objects themselves would tell less: file systems do not keep when a file was read, and objects share
their inode, so their times too, with work trees.
"""

from __future__ import annotations

import secrets
import time
import weakref
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mlbutler.state import segments
from mlbutler.state.segments import Segment
from mlbutler.store.interface import ObjectId, object_at

_KIND = "uses"
FOLDER = Path("mlbutler") / segments.FOLDER / _KIND
_MERGED = "merged"
_MANY = 200


@dataclass(frozen=True)
class UsedArtifacts:
    """Artifacts that were used: when at last (seconds since the epoch), and whether by a build that still runs."""

    last: Mapping[ObjectId, float]
    running: frozenset[ObjectId]
    builds: int


class BuildLease:
    """A build's entry; it counts as running until `close`, or until its process ends.

    Args:
        ephemeral: the file of an entry that goes with its build.
    """

    def __init__(self, file: IO[Any] | None, ephemeral: Path | None = None) -> None:
        self._end = weakref.finalize(self, _end, file, ephemeral)  # at the latest when the process ends

    def close(self) -> None:
        """End it: the build no longer needs these artifacts at once."""
        self._end()


def _end(file: IO[Any] | None, ephemeral: Path | None) -> None:
    if ephemeral is not None:
        with suppress(OSError):
            ephemeral.unlink()
    if file is not None:
        file.close()


def acquire(mirror: Path, oids: Collection[ObjectId], *, ephemeral: bool = False) -> BuildLease:
    """Note that this process uses these artifacts; a mirror that cannot be written is done without.

    Args:
        ephemeral: leave nothing behind: an untrusted build does not decide what stays in the mirror after it.
    """
    segment = _segment(mirror, f"{time.time():017.6f}-{secrets.token_hex(4)}")
    if not mirror.is_dir() or not oids or not segment.replace({oid.key: time.time() for oid in oids}):
        return BuildLease(None)
    file: IO[Any] | None = None
    with suppress(OSError):
        file = segment.file.open("rb")
        _lock(file, wait=True)
        if not ephemeral and sum(1 for _ in segment.file.parent.iterdir()) > _MANY:
            merge(mirror)
    return BuildLease(file, segment.file if ephemeral else None)


def read_uses(mirror: Path) -> UsedArtifacts:
    """Return all that is known of who used what."""
    now = time.time()
    last: dict[ObjectId, float] = {}
    running: set[ObjectId] = set()
    builds = 0
    for file, used in _entries(mirror):
        alive = file.name != _MERGED and _is_held(file)
        builds += alive
        for oid, at in used.items():
            at = min(at, now)  # a clock that was ahead must not keep an object forever
            last[oid] = max(at, last.get(oid, at))
            if alive:
                running.add(oid)
    return UsedArtifacts(last, frozenset(running), builds)


def merge(mirror: Path, gone: Collection[ObjectId] = ()) -> None:
    """Put the entries of builds that have ended into one file, but for artifacts that are gone from the mirror."""
    ended = [(file, used) for file, used in _entries(mirror) if file.name == _MERGED or not _is_held(file)]
    last: dict[ObjectId, float] = {}
    for _, used in ended:
        for oid, at in used.items():
            last[oid] = max(at, last.get(oid, at))
    if not _segment(mirror, _MERGED).replace({oid.key: at for oid, at in last.items() if oid not in gone}):
        return
    for file, _ in ended:
        if file.name != _MERGED:
            with suppress(OSError):
                file.unlink()


def _segment(mirror: Path, name: str) -> Segment:
    return Segment(mirror / "mlbutler", _KIND, name=name)


def _entries(mirror: Path) -> Iterator[tuple[Path, dict[ObjectId, float]]]:
    try:
        files = sorted((mirror / FOLDER).iterdir())
    except OSError:
        return
    for file in files:
        named = ((object_at(key), at) for key, at in _segment(mirror, file.name).read().items())
        yield file, {oid: float(at) for oid, at in named if oid is not None and isinstance(at, int | float)}


def _is_held(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return not _lock(opened, wait=False, exclusive=True)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _lock(file: IO[Any], *, wait: bool, exclusive: bool = False) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows: an entry counts as running for the hour that recent uses are kept
        return True
    try:
        fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True
