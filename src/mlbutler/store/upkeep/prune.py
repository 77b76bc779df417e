"""Keeping the mirror below its size: what was used least recently goes, and never what a running build uses.

An object that is evicted in the wrong moment costs a download: a build that does not find it asks the remote.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mlbutler.atomic import write
from mlbutler.errors import BusyError, DiskFull, MlbutlerError, StoreError
from mlbutler.shared_folders import make_folder, share
from mlbutler.store.files import explained
from mlbutler.store.holdings import files_of
from mlbutler.store.interface import ObjectId
from mlbutler.store.local import LocalStore
from mlbutler.store.upkeep import mark, uses
from mlbutler.store.upkeep.survey import StoredObject, survey

RECENT = 3600.0
"""Seconds for which what was used, or came, stays in any case: a build's steps may be processes of their own."""
_UNFINISHED_FOR = 86400.0
_ROOM = 0.9
"""Share of the limit that is kept, so that not every build has to evict."""
_OURS = Path("mlbutler")
_SIZE, _GROWTH, _LOCK = _OURS / "size.json", _OURS / "growth", _OURS / "prune.lock"


@dataclass(frozen=True)
class Pruned:
    """What was done, or would be.

    Attributes:
        objects, bytes: evicted. unfinished: files of transfers that were killed long ago, removed.
        left_objects, left_bytes: what stays. kept_bytes: of these, what may not be evicted now.
    """

    objects: int = 0
    bytes: int = 0
    unfinished: int = 0
    left_objects: int = 0
    left_bytes: int = 0
    kept_bytes: int = 0


def grown(mirror: Path, size: int) -> None:
    """Note that the mirror has become larger by about `size` bytes."""
    with suppress(OSError):
        handle = _open_shared(mirror / _GROWTH, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(handle, b"%d\n" % size)
        finally:
            os.close(handle)


def _open_shared(path: Path, flags: int) -> int:
    """Open a file that builds of other users write too, and make it where it does not exist.

    Raises:
        OSError: it cannot be opened.
    """
    with suppress(FileNotFoundError):
        return os.open(path, flags)
    handle = os.open(path, flags | os.O_CREAT, 0o666)
    with suppress(OSError):
        share(path)
    return handle


def keep_below(mirror: Path, limit: int, remotes: Iterable[Path] = ()) -> Pruned | None:
    """Evict when the mirror may be larger than `limit` bytes; return None when it is not, or another build evicts.

    Args:
        remotes: directories that are DVC remotes of the project.

    Raises:
        StoreError: the mirror cannot be read or written, or is not known to be one.
    """
    size = _estimate(mirror)
    if size is not None and size <= limit:
        return None
    try:
        return prune(mirror, limit, remotes=remotes)
    except BusyError:
        return None


def prune(
    mirror: Path,
    limit: int | None = None,
    older_than: float | None = None,
    *,
    remotes: Iterable[Path] = (),
    dry: bool = False,
    progress: Callable[[int, int], None] = lambda objects, size: None,
) -> Pruned:
    """Evict until nine tenths of `limit` are left, and what was not used for `older_than` seconds.

    Args:
        limit: bytes. remotes: directories that are DVC remotes of the project. dry: only say what would be done.
        progress: called with evicted objects and bytes.

    Raises:
        BusyError: another process prunes this mirror. UnmarkedMirror: it is not known to be a mirror.
        StoreError: it cannot be read or written.
    """
    try:
        mark.require_mirror(mirror, remotes)
        with _alone(mirror, dry):
            return _prune(mirror, limit, older_than, dry, progress)
    except (OSError, DiskFull) as error:
        raise _failed(error, mirror) from error


def _failed(error: OSError | DiskFull, mirror: Path) -> MlbutlerError:
    if isinstance(error, OSError):
        return explained(error, "looking after the mirror", mirror)
    return error


def _prune(
    mirror: Path, limit: int | None, older_than: float | None, dry: bool, progress: Callable[[int, int], None]
) -> Pruned:
    now = time.time()
    found: list[StoredObject] = []
    unfinished = 0
    for item in survey(mirror):
        if isinstance(item, StoredObject):
            found.append(item)
        elif now - item.changed > _UNFINISHED_FOR:
            unfinished += 1
            if not dry:
                item.path.unlink(missing_ok=True)
    use = uses.read_uses(mirror)
    store = LocalStore("mirror", mirror)
    last = _with_files(store, use.last)
    running = _Running(mirror, store)
    total = sum(item.size for item in found)
    goal = total if limit is None or total <= limit else int(limit * _ROOM)
    kept = 0
    gone: set[ObjectId] = set()
    evicted = 0
    # A manifest goes after the files it names: as long as it is there, their use is known.
    for at, _, less, oid in sorted(
        (_used(item, last, now), item.oid.is_directory, -item.size, item.oid) for item in found
    ):
        size = -less
        if now - at < RECENT or oid in running.now():
            kept += size
        elif total - evicted > goal or (older_than is not None and now - at > older_than):
            if not dry:
                store.path(oid).unlink(missing_ok=True)
            gone.add(oid)
            evicted += size
            progress(1, size)
    if not dry:
        _settle(mirror, total - evicted, len(found) - len(gone), gone)
    return Pruned(len(gone), evicted, unfinished, len(found) - len(gone), total - evicted, kept)


class _Running:
    """What running builds use; builds that start while we work are noticed."""

    def __init__(self, mirror: Path, store: LocalStore) -> None:
        self._mirror, self._store = mirror, store
        self._seen: int | None = None
        self._objects: Collection[ObjectId] = ()

    def now(self) -> Collection[ObjectId]:
        """Return their artifacts, and the files of these."""
        try:
            changed = (self._mirror / uses.FOLDER).stat().st_mtime_ns
        except FileNotFoundError:
            return self._objects
        if changed != self._seen:
            self._seen = changed
            named = uses.read_uses(self._mirror).running
            self._objects = frozenset(_with_files(self._store, dict.fromkeys(named, 0.0)))
        return self._objects


def _used(item: StoredObject, last: Mapping[ObjectId, float], now: float) -> float:
    """Return when it was used at last; what no build named counts from when it came."""
    return min(last.get(item.oid, item.changed), now)


def _with_files(store: LocalStore, last: Mapping[ObjectId, float]) -> dict[ObjectId, float]:
    """Return these objects with the files that the directories among them name."""
    found = dict(last)
    for oid, at in last.items():
        if oid.is_directory:
            for file in files_of(store, oid) or ():  # of one that is damaged, files count by themselves
                found[file] = max(at, found.get(file, at))
    return found


def _settle(mirror: Path, size: int, objects: int, gone: set[ObjectId]) -> None:
    if gone:
        uses.merge(mirror, gone)
    write(mirror / _SIZE, json.dumps({"bytes": size, "objects": objects, "at": time.time()}).encode())
    (mirror / _GROWTH).unlink(missing_ok=True)


def _estimate(mirror: Path) -> int | None:
    """Return the bytes when it was last surveyed, and what came since; None when not known."""
    try:
        size = int(json.loads((mirror / _SIZE).read_bytes())["bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    with suppress(OSError, ValueError):
        size += sum(int(line) for line in (mirror / _GROWTH).read_bytes().split())
    return size


@contextmanager
def _alone(mirror: Path, dry: bool) -> Iterator[None]:
    if not mirror.is_dir():
        raise StoreError(f"There is no mirror at {mirror}.", "Check data.mirror, or --mirror.")
    if dry:
        yield
        return
    from filelock import FileLock, Timeout

    make_folder(mirror / _OURS)
    os.close(_open_shared(mirror / _LOCK, os.O_RDWR))
    try:
        with FileLock(mirror / _LOCK, timeout=0):
            yield
    except Timeout as error:
        raise BusyError(f"Another process prunes {mirror}.", "Wait for it to end.") from error
