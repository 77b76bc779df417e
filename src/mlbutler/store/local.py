"""A directory that holds objects: DVC's cache, the mirror that an agent's builds share, a local remote.

An object is whole or absent: it is written under a temporary name beside its final one and renamed. No lock
is needed, because two writers of one object write the same bytes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from threading import Event

from mlbutler.errors import DiskFull, StoreError
from mlbutler.shared_folders import make_folder
from mlbutler.state.verified import VerifiedObjects
from mlbutler.store.files import (
    OBJECT_MODE,
    Links,
    explain_os_error,
    is_protected,
    protect,
    replace,
    temporary,
    temporary_name,
)
from mlbutler.store.interface import Arrived, Counter, ObjectId, ObjectStatus, Presence, Results
from mlbutler.store.linking import Jobs
from mlbutler.store.pool import Threaded
from mlbutler.store.verify import EMPTY_MD5


class LocalStore(Threaded):
    """Objects below one directory.

    Attributes:
        verified: which of them need not be hashed.

    Args:
        name: what the record calls it: ``cache``, ``mirror`` or a remote's name.
        root: the directory that holds ``files/md5``.
        hardlink: objects may be shared with another directory by hardlinks.
    """

    jobs = 4

    def __init__(self, name: str, root: Path, *, hardlink: bool = False) -> None:
        self.name, self.root = name, root
        self._prefix = str(root)
        self.verified = VerifiedObjects(root / "mlbutler")
        self._links = Links(hardlink)
        self._folders: set[str] = set()
        self._prepared = ""

    def path(self, oid: ObjectId) -> Path:
        """Return where the object lies, or would."""
        return Path(self._text(oid))

    def _text(self, oid: ObjectId) -> str:
        return f"{self._prefix}/{oid.key}"

    def stat(self, oid: ObjectId) -> os.stat_result | None:
        """Return the object's file status, None when it is absent (or is no file).

        Raises:
            StoreError: the directory cannot be searched.
        """
        try:
            found = os.stat(self._text(oid))  # noqa: PTH116 - called for each of 50,000 objects
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise explain_os_error(error, "looking for an object", self.root) from error
        return found if stat.S_ISREG(found.st_mode) else None

    def folders(self) -> Collection[str]:
        """Return the folders that hold objects, as `ObjectId.folder` names them; what lies elsewhere is absent.

        Raises:
            StoreError: the directory cannot be searched.
        """
        found: list[str] = []
        for above in ("files/md5/", ""):
            try:
                names = os.listdir(f"{self._prefix}/{above}")  # noqa: PTH208
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise explain_os_error(error, "looking for objects", self.root) from error
            found += [above + name for name in names if len(name) == 2]
        return frozenset(found)

    def sound(self, oid: ObjectId, found: os.stat_result, size: int | None) -> bool:
        """Tell whether the object, whose status is `found`, can be taken as it is, without hashing."""
        return is_sound(found, oid, size) and self.verified.contains(oid, found)

    def ask(self, objects: Iterable[ObjectId]) -> dict[ObjectId, ObjectStatus]:
        """Return presence and size of each object, by its file status."""
        answers = {}
        for oid in objects:
            try:
                found = self.stat(oid)
            except StoreError as error:
                denied = isinstance(error.__cause__, PermissionError)
                answers[oid] = ObjectStatus(
                    Presence.UNDETERMINED, reason=error.message, denied=denied, remedy=error.remedy
                )
                continue
            answers[oid] = (
                ObjectStatus(Presence.MISSING) if found is None else ObjectStatus(Presence.PRESENT, found.st_size)
            )
        return answers

    def ask_many(self, objects: Iterable[ObjectId], stop: Event) -> Results[ObjectStatus]:
        """Ask as `ask` does, in this thread: a file status costs less than handing it to another would."""
        for oid in objects:
            if stop.is_set():
                return
            yield oid, self.ask([oid])[oid]

    def missing_directory_error(self) -> StoreError | None:
        """Return the error for a directory that is not there: nothing can be said of what it held."""
        if self.root.is_dir():
            return None
        return StoreError(
            f"The directory of the store '{self.name}' is not there: {self.root}",
            "Mount the disk or fix the remote's url; `mlbutler push` makes one that has never been.",
        )

    def require(self) -> None:
        """Refuse a directory that cannot be there: an unmounted disk holds no objects, but misses none either.

        One that only has not been made yet, in a directory that exists, is empty.

        Raises:
            StoreError: there is neither such a directory nor its parent.
        """
        if not self.root.is_dir() and not self.root.parent.is_dir():
            raise StoreError(
                f"The store '{self.name}' does not exist: {self.root}",
                "Create the directory or mount the disk, or fix the remote's url in .dvc/config.",
            )

    def get(self, oid: ObjectId, destination: Path, count: Counter, most: int | None = None) -> Arrived:
        """Bring the object to `destination` by reflink, hardlink (where allowed) or copy.

        Raises:
            FileNotFoundError: it is absent. StoreError, DiskFull: it cannot be read or written.
        """
        source = self.path(oid)
        try:
            self._links.bring(source, destination, count)
        except FileNotFoundError:
            if not destination.parent.is_dir():
                raise StoreError(f"{destination.parent} has vanished.", "Run again.") from None
            raise
        except OSError as error:
            raise explain_os_error(error, f"reading from '{self.name}'", destination.parent) from error
        return Arrived(lambda: f"{destination.stat().st_size} bytes from {source}")

    def put(self, oid: ObjectId, source: Path, count: Counter) -> None:
        """Make the object appear whole; one that is there already with the same size is left alone.

        Raises:
            StoreError, DiskFull: it cannot be written.
        """
        here = self.stat(oid)
        try:
            same = here is not None and here.st_size == source.stat().st_size
        except OSError as error:
            raise explain_os_error(error, "reading an object", source.parent) from error
        if not same:
            self.heal(oid, source, count)

    def heal(self, oid: ObjectId, source: Path, count: Counter) -> None:
        """Make the object appear whole, over whatever is there.

        Raises:
            StoreError, DiskFull: it cannot be written.
        """
        final = self.path(oid)
        try:
            self._make_folder(oid)
            unfinished = temporary(final)
            try:
                self._links.bring(source, unfinished, count)
                found = unfinished.stat()
                protect(unfinished, found.st_mode)
                replace(unfinished, final, found)
            finally:
                unfinished.unlink(missing_ok=True)
        except OSError as error:
            raise explain_os_error(error, f"writing to '{self.name}'", self.root) from error

    def _make_folder(self, oid: ObjectId) -> str:
        """Make the folder of the object where there is none, and return it."""
        folder = self._text(oid).rpartition("/")[0]
        if folder not in self._folders or not os.path.isdir(folder):  # noqa: PTH112 - for each of 50,000 objects
            make_folder(Path(folder))
            self._folders.add(folder)
        return folder

    def adopt(self, oid: ObjectId, other: LocalStore) -> bool:
        """Take another store's object by a hardlink in one step; False where that cannot be, for `get` to do it.

        Raises:
            StoreError, DiskFull: this store's folder cannot be created.
        """
        return self._link_object(oid, other, other._links)

    def take_link(self, oid: ObjectId, cache: LocalStore) -> bool:
        """Take the cache's object by a hardlink in one step; False where that cannot be, for `put` to do it.

        Raises:
            StoreError, DiskFull: this store's folder cannot be created.
        """
        found = cache.stat(oid)
        return found is not None and is_sound(found, oid, None) and self._link_object(oid, cache, self._links)

    def _link_object(self, oid: ObjectId, other: LocalStore, links: Links) -> bool:
        for _ in range(2):
            try:
                return links.link(other._text(oid), self._text(oid))
            except FileNotFoundError:
                self._prepared = ""
                self.prepare(oid)
        return False

    @property
    def links_at_once(self) -> bool:
        """Tell whether its objects are taken by hardlinks, as was found out with the first."""
        return self._links.at_once

    def jobs_from(self, other: LocalStore, statuses: Mapping[ObjectId, str]) -> Jobs:
        """Return the jobs for `linker.link` that link another store's objects into this one; make their folders.

        Raises:
            StoreError, DiskFull: a folder cannot be created.
        """
        self._prepared = ""
        for first in {oid.md5[:2]: oid for oid in statuses}.values():
            self.prepare(first)
        jobs = ((oid, "", status) for oid, status in statuses.items())
        return Jobs.of(other.root, self.root / "files" / "md5", jobs)

    def prepare(self, oid: ObjectId) -> str:
        """Make the folder of an object that is about to arrive, and return a temporary name in it.

        The folder of the object before is not looked at again: objects come in the order of their names.

        Raises:
            StoreError, DiskFull: the folder cannot be created.
        """
        folder = self._text(oid).rpartition("/")[0]
        if folder != self._prepared:
            try:
                self._make_folder(oid)
            except OSError as error:
                raise explain_os_error(error, f"writing to '{self.name}'", self.root) from error
            self._prepared = folder
        return f"{folder}/{temporary_name()}"

    def install(self, oid: ObjectId, arrived: str, found: os.stat_result) -> None:
        """Give a verified temporary file its final name, read-only, over a damaged one if there is one.

        Args:
            found: the temporary file's status.

        Raises:
            StoreError, DiskFull: the directory does not take it.
        """
        try:
            protect(arrived, found.st_mode)
            replace(arrived, self._text(oid), found)
        except OSError as error:
            raise explain_os_error(error, f"writing to '{self.name}'", self.root) from error

    def trust(self, oid: ObjectId) -> None:
        """Mark an object that has just been hashed as whole."""
        path = self.path(oid)
        try:
            path.chmod(OBJECT_MODE)
        except OSError:  # another user's file: it will be hashed again the next time
            return

    def distrust(self, oid: ObjectId) -> None:
        """Mark a damaged object as one that DVC too has to hash before it uses it."""
        path = self.path(oid)
        try:
            path.chmod(path.stat().st_mode | stat.S_IWUSR)
        except OSError:
            return


def is_sound(found: os.stat_result, oid: ObjectId, size: int | None) -> bool:
    """Tell whether a file of this status looks like the object.

    DVC makes objects read-only when they are whole; one that somebody can write into, of another size than recorded,
    or empty where it must not be, has to be hashed first.
    """
    return is_expected(found.st_size, oid, size) and is_protected(found.st_mode)


def is_expected(bytes_there: int, oid: ObjectId, size: int | None) -> bool:
    """Tell whether an object of so many bytes can be the one that is meant. `size`: as recorded."""
    return (size is None or bytes_there == size) and (bytes_there > 0 or oid.md5 == EMPTY_MD5)


WRITE_FAILURES = (StoreError, DiskFull)
"""What `LocalStore.put` raises; a mirror that fails so only slows."""
