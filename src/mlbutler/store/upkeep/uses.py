"""Who used which artifacts of the mirror, and when: what eviction goes by.

Each build leaves a small file that names the artifacts it needed, and holds a lock on it as long as its process lives.
Times of the objects themselves would tell less: file systems do not keep when a file was read, and objects share
their inode, so their times too, with work trees.
"""

from __future__ import annotations

import json
import secrets
import time
import weakref
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mlbutler.atomic import write
from mlbutler.errors import DiskFull
from mlbutler.store.files import make_folder
from mlbutler.store.interface import ObjectId, object_at

FOLDER = Path("mlbutler") / "uses"
_MERGED = "merged.json"
_MANY = 200
_LARGEST = 64 << 20


@dataclass(frozen=True)
class Use:
    """Artifacts that were used: when at last (seconds since the epoch), and whether by a build that still runs."""

    last: Mapping[ObjectId, float]
    running: frozenset[ObjectId]
    builds: int


class Held:
    """A build's entry; it counts as running until `close`, or until its process ends.

    Args:
        passing: the file of an entry that goes with its build.
    """

    def __init__(self, file: IO[Any] | None, passing: Path | None = None) -> None:
        self._end = weakref.finalize(self, _end, file, passing)  # at the latest when the process ends

    def close(self) -> None:
        """The build no longer needs these artifacts at once."""
        self._end()


def _end(file: IO[Any] | None, passing: Path | None) -> None:
    if passing is not None:
        with suppress(OSError):
            passing.unlink()
    if file is not None:
        file.close()


def hold(mirror: Path, oids: Collection[ObjectId], *, passing: bool = False) -> Held:
    """Say that this process uses these artifacts; a mirror that cannot be written is done without.

    Args:
        passing: leave nothing behind: an untrusted build does not decide what stays in the mirror after it.
    """
    folder = mirror / FOLDER
    name = folder / f"{time.time():017.6f}-{secrets.token_hex(4)}.use"
    file: IO[Any] | None = None
    with suppress(OSError, DiskFull):
        if not mirror.is_dir() or not oids:
            return Held(None)
        make_folder(folder)
        write(name, json.dumps({"at": time.time(), "objects": _keys(oids)}).encode(), durable=False)
        file = name.open("rb")
        _lock(file, wait=True)
        if not passing and sum(1 for _ in folder.glob("*.use")) > _MANY:
            merge(mirror)
    return Held(file, name if passing else None)


def read(mirror: Path) -> Use:
    """All that is known of who used what."""
    now = time.time()
    last: dict[ObjectId, float] = {}
    running: set[ObjectId] = set()
    builds = 0
    for file, entries in _entries(mirror):
        alive = file.suffix == ".use" and _is_held(file)
        builds += alive
        for oid, at in entries:
            at = min(at, now)  # a clock that was ahead must not keep an object for ever
            last[oid] = max(at, last.get(oid, at))
            if alive:
                running.add(oid)
    return Use(last, frozenset(running), builds)


def merge(mirror: Path, gone: Collection[ObjectId] = ()) -> None:
    """Put the entries of builds that have ended into one file, but for artifacts that are gone from the mirror.

    Raises:
        OSError, DiskFull: the folder cannot be written.
    """
    ended = [(file, entries) for file, entries in _entries(mirror) if file.name == _MERGED or not _is_held(file)]
    last: dict[ObjectId, float] = {}
    for _, entries in ended:
        for oid, at in entries:
            last[oid] = max(at, last.get(oid, at))
    rows = {oid.key: at for oid, at in last.items() if oid not in gone}
    write(mirror / FOLDER / _MERGED, json.dumps(rows).encode())
    for file, _ in ended:
        if file.name != _MERGED:
            file.unlink(missing_ok=True)


def _entries(mirror: Path) -> Iterator[tuple[Path, list[tuple[ObjectId, float]]]]:
    for file in [*sorted((mirror / FOLDER).glob("*.use")), mirror / FOLDER / _MERGED]:
        with suppress(OSError, ValueError, TypeError, AttributeError, KeyError):  # another's, torn, or gone meanwhile
            if file.stat().st_size > _LARGEST:
                continue
            content = json.loads(file.read_bytes())
            rows = content if file.name == _MERGED else dict.fromkeys(content["objects"], content["at"])
            named = ((object_at(key), float(at)) for key, at in rows.items())
            yield file, [(oid, at) for oid, at in named if oid is not None]


def _keys(oids: Collection[ObjectId]) -> list[str]:
    return sorted({oid.key for oid in oids})


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
