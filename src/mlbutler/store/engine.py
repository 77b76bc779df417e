"""Bring what is wanted into the cache, from the nearest place that has it.

Order: cache, mirror, remote. Manifests come first, because an unknown new ``.dir`` would make every file of its
directory look new; then files, each once however many paths share it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import repeat
from operator import itemgetter

from mlbutler.errors import AccessDenied, CorruptObject, DiskFull, Interrupted, MlbutlerError, StoreError
from mlbutler.frozen import frozen
from mlbutler.record import Moved
from mlbutler.state.fingerprint import size_in
from mlbutler.store.interface import Need, ObjectId, Results, Store
from mlbutler.store.limits import most_of
from mlbutler.store.linking import MOST
from mlbutler.store.local import LocalStore
from mlbutler.store.manifest import parse_manifest, select
from mlbutler.store.pool import imap_unordered
from mlbutler.store.transfer import SMALL, Mover, ProgressSink, Tally, moved_by_place

LOCAL_JOBS = 4
_AT_ONCE = 512
_HOPELESS = 8
"""Failures without one success after which a remote is not asked for more."""

RemoteFor = Callable[[str | None], Store | None]
"""The store for an artifact's own remote (None: the project's), None when there is none."""


@frozen
class Missing:
    """An object that no place holds: the path it has in the project (the object's name if it has none)."""

    path: str
    oid: ObjectId


@frozen
class Brought:
    """What `bring` did.

    Attributes:
        moved: objects and bytes by the place they came from; ``cache`` are those that were there already.
        missing: what no place holds. errors: what could not be read, for whatever else is absent.
        incomplete: paths of the needs that are not fully available here. objects: all that was wanted.
    """

    moved: tuple[Moved, ...] = ()
    missing: tuple[Missing, ...] = ()
    errors: tuple[MlbutlerError, ...] = ()
    incomplete: frozenset[str] = frozenset()
    objects: Collection[ObjectId] = ()


@dataclass(frozen=True)
class _Want:
    """What is wanted of an object, or of all files of a directory: there are a great many of them.

    Attributes:
        size: as recorded. remote: that should hold it. place: its path, or that of the directory. most: bytes that may
            come. files: of the directory.
    """

    size: int | None
    remote: str | None
    place: str
    most: int | None = None
    files: Mapping[str, ObjectId] | None = None

    def path(self, oid: ObjectId) -> str:
        """Return one path of the object, for messages."""
        return self.place if self.files is None else f"{self.place}/{self._paths[oid]}"

    @cached_property
    def _paths(self) -> Mapping[ObjectId, str]:
        return {oid: path for path, oid in reversed(list((self.files or {}).items()))}


@frozen
class BringOptions:
    """How objects are brought.

    Attributes:
        jobs: transfers at once; found out when None.
        verify: hash what the mirror holds before it is taken. What a remote sends is always hashed.
        trusted: may the mirror be filled, and be believed without hashing.
        near: a store that is asked before the project's remote. What it sends is hashed too; it is done without when it
            fails. fill: may it be given what the remote sent.
        warn: called when the mirror fails.
        opened: called with each directory's files, path -> object, before they are brought.
    """

    jobs: int | None = None
    verify: bool = False
    trusted: bool = True
    near: Store | None = None
    fill: bool = False
    progress: ProgressSink | None = None
    warn: Callable[[str], None] = lambda _: None
    opened: Callable[[Need, Mapping[str, ObjectId]], None] = lambda *_: None


def bring(
    wanted: Iterable[Need | ObjectId],
    cache: LocalStore,
    mirror: LocalStore | None,
    remote: Store | RemoteFor | None,
    options: BringOptions | None = None,
) -> Brought:
    """Get objects into the cache.

    Args:
        wanted: artifacts (a directory with its files), or single objects (a manifest without them).
        remote: one store, or a function that opens the store of a remote's name; asked only when needed.

    Raises:
        DiskFull: the cache's disk is full. CorruptObject: a manifest is hostile.
        StoreError: the cache cannot be read or written.
    """
    items = list(wanted)
    run = _Bringing(cache, mirror, remote, options or BringOptions())
    try:
        return run.all(
            [item for item in items if isinstance(item, Need)],
            [item for item in items if isinstance(item, ObjectId)],
        )
    finally:
        run.stop.set()
        run.mover.clean()


class _Bringing:
    def __init__(
        self, cache: LocalStore, mirror: LocalStore | None, remote: Store | RemoteFor | None, options: BringOptions
    ) -> None:
        self.cache, self.jobs, self._opened = cache, options.jobs, options.opened
        self._near, self._fills, self._warn = options.near, options.fill, options.warn
        self._remote: RemoteFor = remote if callable(remote) else lambda _: remote
        self.stop = threading.Event()
        self.tally = Tally(options.progress)
        verify = options.verify or not options.trusted
        self.mover = Mover(
            cache, mirror, share=options.trusted, verify=verify, tally=self.tally, warn=options.warn, stop=self.stop
        )
        self.absent: dict[ObjectId, str] = {}
        self.failed: dict[ObjectId, MlbutlerError] = {}
        self.sizes: dict[ObjectId, int] = {}
        """Of objects that are in the cache, as far as they were looked at."""

    def all(self, needs: Sequence[Need], singles: Sequence[ObjectId]) -> Brought:
        first = {oid: _Want(None, None, oid.md5, most_of(oid, None)) for oid in singles}
        first |= {
            need.oid: _Want(None, need.remote, need.path, most_of(need.oid, None, need.files))
            for need in needs
            if need.oid.is_directory
        }
        self.fetch(first)
        files: dict[ObjectId, _Want] = {}
        parts: list[tuple[Need, Mapping[str, ObjectId]]] = []
        for need in needs:
            if not need.oid.is_directory:
                known = files.get(need.oid, _Want(None, need.remote, need.path))
                size = known.size if known.size is not None else need.size
                files[need.oid] = replace(known, size=size, most=most_of(need.oid, size))
            elif need.oid not in self.absent and need.oid not in self.failed:
                chosen = self._files(need)
                parts.append((need, chosen))
                self._opened(need, chosen)
                _add_files(files, need, chosen)
        files = _by_name(files)
        self.fetch(files)
        self.fetch(self._find_torn(parts, files), hashing=True)
        return self._result(needs, parts, {**first, **files})

    def _files(self, need: Need) -> Mapping[str, ObjectId]:
        """Return the files that are wanted of a directory."""
        chosen = select(parse_manifest(self._read(need.oid), need.oid), need.inside)
        return dict(zip(chosen, map(ObjectId, chosen.values(), repeat(need.oid.legacy)), strict=True))

    def _read(self, oid: ObjectId) -> bytes:
        try:
            return self.cache.path(oid).read_bytes()
        except OSError as error:
            raise StoreError(f"The cache lost {oid.key}: {error.strerror}.", "Run again.") from error

    def _find_torn(
        self, parts: Iterable[tuple[Need, Mapping[str, ObjectId]]], files: Mapping[ObjectId, _Want]
    ) -> dict[ObjectId, _Want]:
        """Return the files of directories whose sizes do not add up to what is recorded: one of them is damaged."""
        suspects: dict[ObjectId, _Want] = {}
        for need, chosen in parts:
            if need.size is None or need.inside:
                continue
            oids = chosen.values()
            if (self.absent or self.failed) and any(oid in self.absent or oid in self.failed for oid in oids):
                continue
            came = self.cache.verified.fingerprints([oid for oid in oids if oid not in self.sizes])
            self.sizes.update((oid, size_in(status)) for oid, status in came.items())
            for oid in oids:
                if oid not in self.sizes:
                    found = self.cache.stat(oid)
                    self.sizes[oid] = found.st_size if found else 0
            if sum(self.sizes[oid] for oid in oids) != need.size:
                suspects.update((oid, files[oid]) for oid in oids)
        return suspects

    # ---------------------------------------------------------------------------------------- places

    def fetch(self, objects: Mapping[ObjectId, _Want], *, hashing: bool = False) -> None:
        """Bring objects from cache, mirror or remote; note what is nowhere in `absent`, what failed in `failed`."""
        left: dict[ObjectId, _Want] = {}
        here: dict[ObjectId, int] = {}
        folders = {folder[-2:] for folder in self.cache.folders()}
        doubtful: dict[ObjectId, int] = {}
        for oid, want in objects.items():
            found = self.cache.stat(oid) if oid[0][:2] in folders else None
            # A damaged manifest would make up files, or lose some: there are few, so that each is hashed.
            if found is None:
                left[oid] = want
            elif hashing or oid.is_directory or not self.cache.sound(oid, found, want.size):
                doubtful[oid] = found.st_size
            else:
                here[oid] = found.st_size
        for oid, size in self._hash_objects(doubtful):
            if size is None:
                left[oid] = objects[oid]
                self.sizes.pop(oid, None)
            else:
                here[oid] = size
        if here and not hashing:
            self.sizes.update(here)
            self.tally.add(self.cache.name, sum(here.values()), len(here))
        if left and self.mover.mirror is not None:
            left = self._bring_from_mirror(left, hashing)
        by_remote: dict[str | None, dict[ObjectId, _Want]] = {}
        for oid, want in left.items():
            by_remote.setdefault(want.remote, {})[oid] = want
        for name, group in by_remote.items():
            farther = self._bring_from_near(group) if name is None else group
            if farther:
                self._bring_from_remote(name, farther)
            if name is None:
                self._send_to_near([oid for oid in farther if oid not in self.absent and oid not in self.failed])

    def _hash_objects(self, oids: Mapping[ObjectId, int]) -> Iterator[tuple[ObjectId, int | None]]:
        """Hash these objects in the cache; yield each with its bytes if it is whole, else None."""
        jobs = min(self.jobs or LOCAL_JOBS, len(oids)) if max(oids.values(), default=0) > SMALL else 1
        with closing(imap_unordered(self.mover.verify_in_cache, oids, jobs, self.stop)) as done:
            for oid, result in done:
                if isinstance(result, BaseException):
                    raise result
                yield oid, result

    def _bring_from_mirror(self, left: Mapping[ObjectId, _Want], hashing: bool) -> dict[ObjectId, _Want]:
        """Return what the mirror did not have. A hardlink costs less than handing it to a thread would."""

        def take(oid: ObjectId) -> bool:
            return self.mover.bring_from_mirror(oid, left[oid].size, hashing=hashing or oid.is_directory)

        first, *rest = left  # the first shows which kind of link works
        found = self._each(take, [first], 1)
        linked = {} if hashing else self._link_from_mirror([oid for oid in rest if not oid.is_directory], left)
        others = [oid for oid in rest if oid not in linked and self.mover.may_come_from_mirror(oid)]
        found |= self._each(take, others, self.jobs or LOCAL_JOBS)
        return {oid: want for oid, want in left.items() if oid not in linked and not found.get(oid)}

    def _link_from_mirror(self, oids: Sequence[ObjectId], wants: Mapping[ObjectId, _Want]) -> dict[ObjectId, int]:
        """Return the objects that a hardlink brought from the mirror, with their sizes."""
        linked: dict[ObjectId, int] = {}
        for start in range(0, len(oids), MOST):
            sizes = {oid: wants[oid].size for oid in oids[start : start + MOST]}
            linked |= self._tally_links(self.mover.link_known(sizes, self._raise_if_stopped))
        others = [oid for oid in oids if oid not in linked]
        for start in range(0, len(others), _AT_ONCE):
            some = {oid: self.mover.link(oid, wants[oid].size) for oid in others[start : start + _AT_ONCE]}
            linked |= self._tally_links({oid: size for oid, size in some.items() if size is not None})
        self.sizes.update(linked)
        return linked

    def _tally_links(self, taken: dict[ObjectId, int]) -> dict[ObjectId, int]:
        if taken and self.mover.mirror is not None:
            self.tally.count_bytes(sum(taken.values()))
            self.tally.add(self.mover.mirror.name, sum(taken.values()), len(taken))
        return taken

    def _raise_if_stopped(self, _: int) -> None:
        if self.stop.is_set():
            raise Interrupted("Stopped.")

    def _bring_from_remote(self, name: str | None, group: Mapping[ObjectId, _Want]) -> None:
        try:
            store = self._remote(name)
        except MlbutlerError as error:
            self.failed.update(dict.fromkeys(group, error))
            return
        if store is None:
            self.absent.update((oid, want.path(oid)) for oid, want in group.items())
            return
        found = self._collect(self.mover.bring_from_remote({oid: want.most for oid, want in group.items()}, store))
        for oid, want in group.items():
            if found.get(oid):
                self.failed.pop(oid, None)
            elif oid in found:
                self.absent[oid] = want.path(oid)
            elif oid not in self.failed:  # not tried any more
                self.failed[oid] = next(iter(self.failed.values()))

    def _bring_from_near(self, group: Mapping[ObjectId, _Want]) -> Mapping[ObjectId, _Want]:
        """Return what the near store does not have, or has damaged."""
        if self._near is None:
            return group
        came = set[ObjectId]()
        with closing(self.mover.bring_from_remote({oid: want.most for oid, want in group.items()}, self._near)) as done:
            for oid, result in done:
                if result is True:
                    came.add(oid)
                elif isinstance(result, StoreError) and not isinstance(result, CorruptObject):
                    self._drop_near(result)
                    break
                elif isinstance(result, BaseException) and not isinstance(result, CorruptObject):
                    raise result
        self.stop.clear()
        return {oid: want for oid, want in group.items() if oid not in came}

    def _send_to_near(self, oids: Sequence[ObjectId]) -> None:
        """Give the near store what the remote sent, in place of what it has damaged too."""
        if self._near is None or not self._fills or not oids:
            return
        mover = Mover(self.cache, None, share=False, verify=False, tally=Tally(None), warn=self._warn, stop=self.stop)
        with closing(mover.send(oids, self._near)) as done:
            for _, error in done:
                if isinstance(error, StoreError | DiskFull):
                    self._drop_near(error)
                    break
                if error is not None:
                    raise error
        self.stop.clear()

    def _drop_near(self, error: MlbutlerError) -> None:
        name, self._near = self._near.name if self._near is not None else "", None
        self._warn(f"The mirror '{name}' is not used any more: {error.message}")

    def _each(self, function: Callable[[ObjectId], bool], oids: list[ObjectId], jobs: int) -> dict[ObjectId, bool]:
        if not oids:
            return {}
        return self._collect(imap_unordered(function, oids, min(jobs, len(oids)), self.stop))

    def _collect(self, results: Results[bool | BaseException]) -> dict[ObjectId, bool]:
        found: dict[ObjectId, bool] = {}
        failures = 0
        with closing(results) as done:
            for oid, result in done:
                if not isinstance(result, BaseException):
                    found[oid] = result
                    failures = 0 if result else failures
                elif isinstance(result, StoreError):
                    self.failed[oid] = result
                    failures += 1
                    if isinstance(result, AccessDenied) or failures >= _HOPELESS:
                        break
                else:
                    raise result
        self.stop.clear()
        return found

    def _result(
        self, needs: Sequence[Need], parts: Iterable[tuple[Need, Mapping[str, ObjectId]]], objects: Collection[ObjectId]
    ) -> Brought:
        gone = set(self.absent) | set(self.failed)
        incomplete = {need.path for need in needs if need.oid in gone}
        missing = [Missing(path, oid) for oid, path in self.absent.items()]
        if gone:
            for need, chosen in parts:
                if not gone.isdisjoint(chosen.values()):
                    incomplete.add(need.path)
        return Brought(
            moved=moved_by_place(self.tally),
            missing=tuple(sorted(missing, key=lambda found: found.path)),
            errors=tuple(dict.fromkeys(self.failed.values())),
            incomplete=frozenset(incomplete),
            objects=objects,
        )


def _add_files(files: dict[ObjectId, _Want], need: Need, chosen: Mapping[str, ObjectId]) -> None:
    """Add the files of a directory to what is wanted; those that are wanted already stay, and learn how large they are.

    No file of a directory is larger than all of it.
    """
    most = None if need.size is None else most_of(need.oid._replace(md5=need.oid.md5.removesuffix(".dir")), need.size)
    all_of_it = _Want(None, need.remote, directory_path(need), most, chosen)
    for oid in chosen.values():
        known = files.setdefault(oid, all_of_it)
        if known.most is None and most is not None:
            files[oid] = replace(known, most=most)


def _by_name(objects: Mapping[ObjectId, _Want]) -> dict[ObjectId, _Want]:
    """Sort objects by folder: it costs a disk half of what jumping between folders does."""
    return {oid: objects[oid] for oid in sorted(objects, key=itemgetter(0))}


def directory_path(need: Need) -> str:
    """Return the path of the directory artifact that a need is, or lies in."""
    return need.path.removesuffix("/" + need.inside[0].strip("/")) if len(need.inside) == 1 else need.path
