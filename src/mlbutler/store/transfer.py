"""Moving single objects between cache, mirror and remote: each arrives whole and verified, or not at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mlbutler.errors import Interrupted, MlbutlerError, StoreError
from mlbutler.record import Moved
from mlbutler.state.fingerprint import size_in
from mlbutler.store.files import explain_os_error, is_protected
from mlbutler.store.interface import Arrived, DownloadRequest, ObjectId, ObjectStatus, Presence, Results, Store
from mlbutler.store.linking import link_all
from mlbutler.store.local import WRITE_FAILURES, LocalStore, is_expected, is_sound
from mlbutler.store.verify import is_object, require_object, wrong_content

_HASHERS = 2
SMALL = 1 << 20
"""Up to so many bytes, hashing an object costs less than handing it to a thread would."""


class ProgressSink(Protocol):
    """What shows a long operation (`mlbutler.console.Progress`)."""

    def advance(self, objects: int = 0, nbytes: int = 0) -> None:
        """Count finished objects and moved bytes."""
        ...


@dataclass
class Tally:
    """Objects and bytes that came from, or went to, each place; counted from many threads."""

    progress: ProgressSink | None = None
    objects: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, place: str, size: int, objects: int = 1) -> None:
        """Count objects more, `size` bytes together."""
        with self._lock:
            self.objects[place] = self.objects.get(place, 0) + objects
            self.bytes[place] = self.bytes.get(place, 0) + size
            if self.progress is not None:
                self.progress.advance(objects=objects)

    def count_bytes(self, size: int) -> None:
        """Count bytes of an object under way."""
        if self.progress is not None:
            with self._lock:
                self.progress.advance(nbytes=size)


def moved_by_place(tally: Tally) -> tuple[Moved, ...]:
    """Return the tally in the form that the record keeps."""
    return tuple(Moved(place=p, objects=count, bytes=tally.bytes.get(p, 0)) for p, count in tally.objects.items())


class Mover:
    """Brings objects into the cache and takes them out of it.

    Args:
        cache, mirror: the mirror may be None. share: may the mirror be written.
        verify: hash what the mirror holds before it is taken.
        warn: called once, when the mirror fails; objects are then moved without it.
        stop: set to make running transfers end.
    """

    def __init__(
        self,
        cache: LocalStore,
        mirror: LocalStore | None,
        *,
        share: bool,
        verify: bool,
        tally: Tally,
        warn: Callable[[str], None],
        stop: threading.Event,
    ) -> None:
        self.cache, self.mirror = cache, mirror
        self._share, self._verify, self.tally, self._warn, self._stop = share, verify, tally, warn, stop
        self._unfinished: set[str] = set()
        self._damaged: set[ObjectId] = set()  # in the mirror
        self._lock = threading.Lock()

    def clean(self) -> None:
        """Remove what transfers that were stopped have left, and keep what was learnt."""
        self.cache.verified.save()
        if self.mirror is not None and self._share:
            self.mirror.verified.save()
        with self._lock:
            for path in self._unfinished:
                Path(path).unlink(missing_ok=True)
            self._unfinished.clear()

    def _count(self, size: int) -> None:
        if self._stop.is_set():
            raise Interrupted("Stopped.")
        self.tally.count_bytes(size)

    def _check(self, size: int) -> None:
        if self._stop.is_set():
            raise Interrupted("Stopped.")

    # -------------------------------------------------------------------------------- into the cache

    def verify_in_cache(self, oid: ObjectId) -> int | None:
        """Return the object's bytes if the cache holds it whole; hash it, and mark it when it is damaged.

        Raises:
            StoreError: the cache cannot be read.
        """
        found = self.cache.stat(oid)
        if found is None:
            return None
        path = self.cache.path(oid)
        try:
            if is_object(path, oid, self._check):
                if not is_protected(found.st_mode):
                    self.cache.trust(oid)
                self.cache.verified.add(oid, found)
                return found.st_size
        except FileNotFoundError:
            return None
        except PermissionError:
            pass
        except OSError as error:
            raise explain_os_error(error, "reading an object", self.cache.root) from error
        self.cache.distrust(oid)
        return None

    def link_known(self, sizes: Mapping[ObjectId, int | None], each: Callable[[int], None]) -> dict[ObjectId, int]:
        """Link as `link` does, those of many objects of which the mirror knows the file; return their bytes."""
        mirror = self.mirror
        if mirror is None or self._verify or not mirror.links_at_once:
            return {}
        known = mirror.verified.fingerprints(sizes)
        there = {oid: size_in(status) for oid, status in known.items()}
        for oid in [oid for oid, size in there.items() if not is_expected(size, oid, sizes[oid])]:
            del known[oid], there[oid]
        done = link_all(self.cache.jobs_from(mirror, known), each)
        if not all(done):
            known = {oid: status for (oid, status), one in zip(known.items(), done, strict=True) if one}
            there = {oid: there[oid] for oid in known}
        self.cache.verified.add_all(known)
        return there

    def link(self, oid: ObjectId, size: int | None) -> int | None:
        """Link the object from the mirror into the cache, where that is allowed and its content is trusted.

        Returns its bytes, which are not counted yet; None when it was not taken.
        """
        mirror = self.mirror
        if mirror is None or self._verify:
            return None
        try:
            found = mirror.stat(oid)
        except StoreError:
            return None
        if found is None or not is_sound(found, oid, size):
            return None
        known = mirror.verified.contains(oid, found)
        if not known and (found.st_size > SMALL or not self._verify_in_mirror(mirror, oid, found)):
            return None
        if not self.cache.adopt(oid, mirror):
            return None
        self.cache.verified.add(oid, found)
        return found.st_size

    def _verify_in_mirror(self, mirror: LocalStore, oid: ObjectId, found: os.stat_result) -> bool:
        """Hash an object of the mirror whose status is `found`."""
        try:
            if is_object(mirror.path(oid), oid, self._check):
                mirror.verified.add(oid, found)
                return True
        except OSError:
            pass
        return False

    def may_come_from_mirror(self, oid: ObjectId) -> bool:
        """Return False when the mirror can be read and has no such object: this is cheaper than asking a thread."""
        try:
            return self.mirror is not None and self.mirror.stat(oid) is not None
        except StoreError:
            return True

    def bring_from_mirror(self, oid: ObjectId, size: int | None, *, hashing: bool = False) -> bool:
        """Bring it from the mirror; return False when the mirror has no whole one.

        Raises:
            StoreError, DiskFull: the cache cannot be written.
        """
        if self.mirror is None:
            return False
        try:
            found = self.mirror.stat(oid)
        except StoreError as error:
            self._drop_mirror(error)
            return False
        if found is None:
            return False
        hashing = hashing or self._verify or not self.mirror.sound(oid, found, size)
        return self._copy_from_mirror(oid, self.mirror, found if hashing else None)

    def bring_from_remote(self, wanted: Mapping[ObjectId, int | None], remote: Store) -> Results[bool | BaseException]:
        """Bring objects from the remote, hash them, and give the mirror its share.

        Args:
            wanted: objects, with the bytes that may come of each; None when that is not known.

        Yields each with True, with False when the remote lacks it, or with why it could not be brought: `AccessDenied`,
        `StoreError`; `CorruptObject` when something else came; `DiskFull` when the cache cannot be written.
        """
        unfinished: dict[ObjectId, str] = {}

        def requests() -> Iterator[DownloadRequest]:
            for oid, most in wanted.items():
                unfinished[oid] = self._expect(oid)
                yield DownloadRequest(oid, unfinished[oid], most)

        hashing: dict[Future[bool], ObjectId] = {}
        coming = remote.get_many(requests(), self._count, self._stop)
        with ThreadPoolExecutor(_HASHERS) as pool, closing(coming) as came:
            try:
                for oid, arrived in came:
                    path = unfinished.pop(oid)
                    if isinstance(arrived, BaseException):
                        yield oid, self._discard_failed(path, arrived)
                    elif arrived.md5 is None:
                        hashing[pool.submit(self._finish, oid, path, arrived, remote)] = oid
                        for future in [future for future in hashing if future.done()]:
                            yield hashing.pop(future), _outcome(future)
                    else:
                        yield oid, self._try_finish(oid, path, arrived, remote)
                for future, oid in hashing.items():
                    yield oid, _outcome(future)
            except BaseException:
                self._stop.set()
                raise

    def _finish(self, oid: ObjectId, path: str, arrived: Arrived, store: Store) -> bool:
        """Verify what came, and give it its name."""
        installed = False
        try:
            found = arrived.found or os.stat(path)  # noqa: PTH116
            md5 = arrived.md5 or (arrived.hashed(self._check) if arrived.hashed is not None else None)
            if md5 is None:
                whole = is_object(Path(path), oid, self._check)
            else:
                whole = md5 == oid.md5.removesuffix(".dir")
            if not whole:
                raise wrong_content(oid, arrived.came())
            self.cache.install(oid, path, found)
            self.cache.verified.add(oid, found)
            installed = True
        except OSError as error:
            raise explain_os_error(error, "storing an object", self.cache.root) from error
        finally:
            self._remove_temporary(path, gone=installed)
        self.tally.add(store.name, found.st_size)
        self.share(oid)
        return True

    def _try_finish(self, oid: ObjectId, path: str, arrived: Arrived, store: Store) -> bool | BaseException:
        try:
            return self._finish(oid, path, arrived, store)
        except MlbutlerError as error:
            return error

    def _discard_failed(self, path: str, error: BaseException) -> bool | BaseException:
        """Remove what came; return the result to report: False when the remote lacks the object."""
        self._remove_temporary(path)
        if isinstance(error, FileNotFoundError):
            folder = Path(path).parent
            return False if folder.is_dir() else StoreError(f"{folder} has vanished.", "Run again.")
        if isinstance(error, OSError):
            return explain_os_error(error, "storing an object", self.cache.root)
        return error

    def _expect(self, oid: ObjectId) -> str:
        path = self.cache.prepare(oid)
        with self._lock:
            self._unfinished.add(path)
        return path

    def _remove_temporary(self, path: str, *, gone: bool = False) -> None:
        """Remove what came under a temporary name; it is `gone` once it has the object's name."""
        if not gone:
            Path(path).unlink(missing_ok=True)
        with self._lock:
            self._unfinished.discard(path)

    def _copy_from_mirror(self, oid: ObjectId, mirror: LocalStore, doubtful: os.stat_result | None) -> bool:
        """Bring it from the mirror; `doubtful` is the status of an object that has to be hashed."""
        path = self._expect(oid)
        try:
            mirror.get(oid, Path(path), self._count)
            found = os.stat(path)  # noqa: PTH116
            if doubtful is not None:
                if not is_object(Path(path), oid, self._check):
                    with self._lock:
                        self._damaged.add(oid)
                    return False
                if is_protected(doubtful.st_mode):
                    mirror.verified.add(oid, doubtful)
            self._check(0)
            self.cache.install(oid, path, found)
            self.cache.verified.add(oid, found)
        except FileNotFoundError:
            return False
        except StoreError as error:
            # A mirror that cannot be read only slows; a cache that cannot be written is said when the remote's
            # copy of the same object meets the same wall.
            self._drop_mirror(error)
            return False
        except OSError as error:
            raise explain_os_error(error, "storing an object", self.cache.root) from error
        finally:
            self._remove_temporary(path)
        self.tally.add(mirror.name, found.st_size)
        return True

    # ------------------------------------------------------------------------------ out of the cache

    def share(self, oid: ObjectId) -> bool:
        """Give the mirror an object that the cache holds whole; return True when it is there afterwards.

        A mirror that is read-only, full or gone is done without.
        """
        mirror = self.mirror
        if mirror is None or not self._share:
            return False
        try:
            there = mirror.stat(oid)
            if there is not None and not self._is_damaged(mirror, oid, there):
                return True
            if there is not None or not mirror.take_link(oid, self.cache):
                mirror.heal(oid, self.cache.path(oid), self._check)
            if (there := mirror.stat(oid)) is not None:
                mirror.verified.add(oid, there)
        except WRITE_FAILURES as error:
            self._drop_mirror(error)
            return False
        except OSError as error:
            self._drop_mirror(explain_os_error(error, "writing", mirror.root))
            return False
        return True

    def _is_damaged(self, mirror: LocalStore, oid: ObjectId, there: os.stat_result) -> bool:
        """Tell whether the mirror's object, whose status is `there`, is not the cache's, which is whole."""
        size = self.cache.path(oid).stat().st_size
        if oid in self._damaged or there.st_size != size:
            return True
        if is_sound(there, oid, size):
            return False
        if not is_object(mirror.path(oid), oid, self._check):
            return True
        mirror.trust(oid)
        return False

    def send(self, oids: Iterable[ObjectId], remote: Store) -> Results[BaseException | None]:
        """Store objects on the remote, and ask of each whether it arrived with its full size.

        Yields each with None, or with why it is not there: `CorruptObject` when what the cache holds is damaged;
        `AccessDenied`, `StoreError` when the remote does not take it.
        """
        sizes: dict[ObjectId, int] = {}
        damaged: list[tuple[ObjectId, MlbutlerError]] = []

        def sources() -> Iterator[tuple[ObjectId, Path]]:
            for oid in oids:
                path = self.cache.path(oid)
                try:
                    found = path.stat()
                    require_object(path, oid, "the local cache's copy is damaged", self._check)
                    self.cache.verified.add(oid, found)
                    sizes[oid] = found.st_size
                except MlbutlerError as error:
                    damaged.append((oid, error))
                except OSError as error:
                    damaged.append((oid, explain_os_error(error, "reading an object", self.cache.root)))
                else:
                    yield oid, path

        with closing(remote.put_many(sources(), self._count, self._stop)) as done:
            for oid, answer in done:
                yield oid, self._check_delivery(oid, answer, sizes.pop(oid), remote)
        yield from damaged

    def _check_delivery(
        self, oid: ObjectId, answer: ObjectStatus | BaseException, size: int, remote: Store
    ) -> BaseException | None:
        """Count the object if it arrived; else return why it did not."""
        if isinstance(answer, OSError):
            return explain_os_error(answer, "reading an object", self.cache.root)
        if isinstance(answer, BaseException):
            return answer
        if answer.presence is Presence.UNDETERMINED:
            return StoreError(f"'{remote.name}' does not say whether {oid.key} arrived: {answer.reason}", "Run again.")
        if answer.presence is Presence.MISSING or (answer.size is not None and answer.size != size):
            got = "nothing" if answer.presence is Presence.MISSING else f"{answer.size} bytes"
            return StoreError(
                f"'{remote.name}' accepted {oid.key} but holds {got} of it instead of {size} bytes.",
                "The remote does not store what it is sent: check its disk and its proxy.",
            )
        self.tally.add(remote.name, size)
        return None

    def _drop_mirror(self, error: Exception) -> None:
        with self._lock:
            mirror, self.mirror = self.mirror, None
        if mirror is not None:
            self._warn(f"The mirror is left out: {getattr(error, 'message', error)}")


def _outcome(future: Future[bool]) -> bool | BaseException:
    error = future.exception()
    return future.result() if error is None else error
