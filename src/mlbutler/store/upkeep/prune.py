"""Keep the mirror below its size: evict what was used least recently, but nothing that a running build uses.

An object that is evicted in the wrong moment costs a download: a build that does not find it asks the remote.
"""

from __future__ import annotations

import math
import os
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mlbutler.errors import BusyError, DiskFull, MlbutlerError, StoreError
from mlbutler.shared_folders import make_folder, share
from mlbutler.state.fingerprint import Fingerprint
from mlbutler.state.segments import Segment
from mlbutler.store.files import explain_os_error
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
_LOCK = _OURS / "prune.lock"
KIND, _SURVEYED = "size", "surveyed"
_MANY = 5000
"""Rows of growth after which the mirror is surveyed again: each build appends one and reads all."""
_LARGEST = 128 * _MANY
"""Bytes of the file after which no more is added: it has more than `_MANY` rows then, a row takes 90 to 110."""


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


def record_growth(mirror: Path, size: int) -> None:
    """Note that the mirror has become larger by about `size` bytes."""
    sizes = _sizes(mirror)
    with suppress(OSError):
        if sizes.file.stat().st_size > _LARGEST:
            return
    if mirror.is_dir():
        sizes.append({secrets.token_hex(8): size})


def _sizes(mirror: Path) -> Segment:
    """Return the bytes when the mirror was last surveyed, and rows of what came since, each of a name of its own.

    Several builds append to it at once, and each row counts.
    """
    return Segment(mirror / _OURS, KIND, many=math.inf)


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
        raise _mirror_error(error, mirror) from error


def _mirror_error(error: OSError | DiskFull, mirror: Path) -> MlbutlerError:
    if isinstance(error, OSError):
        return explain_os_error(error, "looking after the mirror", mirror)
    return error


def _prune(
    mirror: Path, limit: int | None, older_than: float | None, dry: bool, progress: Callable[[int, int], None]
) -> Pruned:
    now = time.time()
    counted = _sizes(mirror).read().keys()
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
        (_last_use(item, last, now), item.oid.is_directory, -item.size, item.oid) for item in found
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
        _settle(mirror, total - evicted, gone, counted)
    return Pruned(len(gone), evicted, unfinished, len(found) - len(gone), total - evicted, kept)


class _Running:
    """What running builds use; builds that start while we work are noticed."""

    def __init__(self, mirror: Path, store: LocalStore) -> None:
        self._mirror, self._store = mirror, store
        self._seen = ""
        self._objects: Collection[ObjectId] = ()

    def now(self) -> Collection[ObjectId]:
        """Return their artifacts, and the files of these."""
        try:
            found = Fingerprint.of((self._mirror / uses.FOLDER).stat())
        except FileNotFoundError:
            return self._objects
        if found.text != self._seen:
            self._seen = "" if found.is_racy() else found.text
            named = uses.read_uses(self._mirror).running
            self._objects = frozenset(_with_files(self._store, dict.fromkeys(named, 0.0)))
        return self._objects


def _last_use(item: StoredObject, last: Mapping[ObjectId, float], now: float) -> float:
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


def _settle(mirror: Path, size: int, gone: set[ObjectId], counted: Collection[str]) -> None:
    """Keep what there is now; what came since the survey began may have been missed by it, and counts once more.

    Args:
        counted: the rows from before the survey.
    """
    if gone:
        uses.merge(mirror, gone)
    sizes = _sizes(mirror)
    since = {name: row for name, row in sizes.read().items() if name not in counted and name != _SURVEYED}
    sizes.replace({_SURVEYED: size, **since})


def _estimate(mirror: Path) -> int | None:
    """Return the bytes when it was last surveyed, and what came since; None when not known."""
    rows = _sizes(mirror).read()
    if not isinstance(rows.get(_SURVEYED), int) or len(rows) > _MANY:
        return None
    return sum(size for size in rows.values() if isinstance(size, int))


@contextmanager
def _alone(mirror: Path, dry: bool) -> Iterator[None]:
    if not mirror.is_dir():
        raise StoreError(f"There is no mirror at {mirror}.", "Check data.mirror, or --mirror.")
    if dry:
        yield
        return
    from filelock import FileLock, Timeout

    make_folder(mirror / _OURS)
    with suppress(FileExistsError):
        os.close(os.open(mirror / _LOCK, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        with suppress(OSError):  # builds of other users lock it too
            share(mirror / _LOCK)
    try:
        with FileLock(mirror / _LOCK, timeout=0):
            yield
    except Timeout as error:
        raise BusyError(f"Another process prunes {mirror}.", "Wait for it to end.") from error
