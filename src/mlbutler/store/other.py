"""Any other DVC remote (S3, SSH, Google, Azure, WebDAV, HDFS...), through DVC's own file systems.

Their errors differ; they are sorted here into what matters: not found, refused, failed.
"""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from mlbutler.console import human_bytes
from mlbutler.errors import AccessDenied, DiskFull, MlbutlerError, StoreError
from mlbutler.store.interface import Arrived, Counter, ObjectId, ObjectStatus, Presence, Results
from mlbutler.store.limits import Incoming
from mlbutler.store.missing_plugins import how_to_install
from mlbutler.store.pool import Threaded, imap_unordered
from mlbutler.store.retry import RetryPolicy, Transient

T = TypeVar("T")

_REFUSALS = (
    "PermissionDenied", "NoCredentialsError", "PartialCredentialsError", "ClientAuthenticationError", "Forbidden",
    "Unauthorized", "ForbiddenOperation", "RefreshError", "DefaultCredentialsError", "HostKeyNotVerifiable",
    "TokenRetrievalError", "ProfileNotFound", "AuthError", "KeyImportError", "InvalidSignatureError",
)  # fmt: skip
_FOR_GOOD = (
    "ConfigError",
    "RemoteMissingDepsError",
    "ModuleNotFoundError",
    "ImportError",
    "ParamValidationError",
)
_PAGE = 1000
"""Objects that one request lists."""
_WORTH_LISTING = 8
"""Objects of one folder for which its listing is tried."""
_ABSENT_CONTAINER = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")


class OtherStore(Threaded):
    """Objects below one path of a DVC file system.

    Args:
        name: the remote's name. connect: opens the connection and returns DVC's file system (`dvc.fs.FileSystem`)
            and the path that holds ``files/md5``; called once, when first needed.
        policy: how often a failing call is repeated. jobs: transfers at once.
    """

    def __init__(
        self, name: str, connect: Callable[[], tuple[Any, str]], policy: RetryPolicy | None = None, jobs: int = 16
    ) -> None:
        import threading

        self.name, self.jobs = name, jobs
        self._connect = connect
        self._policy = policy or RetryPolicy(attempts=3)
        self._lock = threading.Lock()
        self._connected: tuple[Any, str] | None = None
        self._container_checked = False

    def _open_file_system(self) -> tuple[Any, str]:
        # Connecting reads key files and resolves hosts: a FileNotFoundError from there is no missing object.
        with self._lock:
            if self._connected is None:
                try:
                    fs, root = self._connect()
                    _never_prompt(fs)
                    _ = fs.fs
                except Exception as error:
                    raise _explain_error(error, self.name, "connecting") from error
                self._connected = fs, root
            return self._connected

    def ask(self, objects: Iterable[ObjectId]) -> dict[ObjectId, ObjectStatus]:
        """Return each object's presence and size, by its file's status."""
        answers = {}
        for oid in objects:
            try:
                answers[oid] = self._policy.call(lambda oid=oid: self._ask(oid))  # type: ignore[misc]
            except StoreError as error:
                denied = isinstance(error, AccessDenied)
                answers[oid] = ObjectStatus(
                    Presence.UNDETERMINED, reason=error.message, denied=denied, remedy=error.remedy
                )
        return answers

    def ask_many(self, objects: Iterable[ObjectId], stop: Event) -> Results[ObjectStatus]:
        """Ask as `ask` does; in a bucket, list the folders of which much is wanted, and ask for what is not listed."""
        folders: dict[str, list[ObjectId]] = {}
        for oid in objects:
            folders.setdefault(oid.folder, []).append(oid)
        most = max(folders, key=lambda folder: len(folders[folder]), default="")
        listed = self._list_folder(most) if most and len(folders[most]) >= _WORTH_LISTING else None
        alone: list[ObjectId] = []
        if listed is None:
            alone += itertools.chain(*folders.values())
        else:
            # Names are hashes: other folders hold about as many objects as this one.
            pages = 1 + len(listed) // _PAGE
            worth = [folder for folder, oids in folders.items() if len(oids) > pages and folder != most]
            alone += itertools.chain(*(oids for folder, oids in folders.items() if folder not in (*worth, most)))
            jobs = min(self.jobs, len(worth))
            with closing(imap_unordered(self._list_folder, worth, jobs, stop)) as done:
                for folder, found in itertools.chain([(most, listed)], done):
                    sizes = found if isinstance(found, Mapping) else {}
                    for oid in folders[folder]:
                        if oid.md5 in sizes:
                            yield oid, ObjectStatus(Presence.PRESENT, sizes[oid.md5])
                        else:
                            alone.append(oid)
        yield from super().ask_many(alone, stop)

    def _list_folder(self, folder: str) -> Mapping[str, int | None] | None:
        """Return the sizes of a folder's objects by their MD5; None where it cannot be listed, or that costs more."""
        from dvc_objects.fs.base import ObjectFileSystem

        try:
            fs, root = self._open_file_system()
            if not isinstance(fs, ObjectFileSystem):
                return None
            entries = self._policy.call(lambda: self._entries(fs, fs.join(root, *folder.split("/")), folder))
        except StoreError:  # said of each object when it is asked for
            return None
        names = ((str(entry.get("name", "")).rpartition("/")[2], entry) for entry in entries)
        return {
            f"{folder[-2:]}{name}": size if isinstance(size := entry.get("size"), int) else None
            for name, entry in names
            if entry.get("type") != "directory"
        }

    def _entries(self, fs: Any, path: str, folder: str) -> list[Mapping[str, Any]]:
        fs.fs.invalidate_cache(path)
        try:
            return list(fs.ls(path, detail=True))
        except FileNotFoundError:
            return []
        except Exception as error:
            raise _explain_error(error, self.name, f"listing {folder}") from error
        finally:
            fs.fs.invalidate_cache(path)  # what is asked afterwards has to be asked of the server

    def _ask(self, oid: ObjectId) -> ObjectStatus:
        fs, root = self._open_file_system()
        try:
            info = fs.info(self._path(fs, root, oid))
        except FileNotFoundError as error:
            self._require_container(fs, root, error)
            return ObjectStatus(Presence.MISSING)
        except Exception as error:
            raise _explain_error(error, self.name, f"asking for {oid.key}") from error
        if info.get("type") == "directory":
            return ObjectStatus(Presence.MISSING)
        size = info.get("size")
        return ObjectStatus(Presence.PRESENT, size if isinstance(size, int) else None)

    def _require_container(self, fs: Any, root: str, error: FileNotFoundError) -> None:
        """Raise where the bucket does not exist: the remote's address is wrong, not an object missing."""
        if self._container_checked:
            return
        causes: list[BaseException | None] = [error, error.__cause__, error.__context__]
        absent = any(mark in str(cause) for cause in causes if cause for mark in _ABSENT_CONTAINER)
        if not absent and fs.protocol == "s3":
            try:
                absent = not fs.fs.exists(root.partition("/")[0])
            except Exception:  # a key may be allowed to read objects and nothing else
                absent = False
        if absent:
            raise StoreError(
                f"Remote '{self.name}': there is no bucket {root.partition('/')[0]}.",
                "Check the remote's url.",
            )
        self._container_checked = True

    def get(self, oid: ObjectId, destination: Path, count: Counter, most: int | None = None) -> Arrived:
        """Download the object.

        Raises:
            FileNotFoundError: it is absent. AccessDenied, StoreError, DiskFull: it could not be read.
            CorruptObject: more comes than there can be.
        """
        return self._policy.call(lambda: self._get(oid, destination, Incoming(self.name, oid, count, most)))

    def _get(self, oid: ObjectId, destination: Path, count: Counter) -> Arrived:
        fs, root = self._open_file_system()
        path = self._path(fs, root, oid)
        try:
            fs.get_file(path, str(destination), callback=_callback(count))
        except FileNotFoundError as error:
            self._require_container(fs, root, error)
            raise
        except Exception as error:
            raise _explain_error(error, self.name, f"reading {oid.key}") from error
        return Arrived(lambda: f"{human_bytes(destination.stat().st_size)} from {path}")

    def put(self, oid: ObjectId, source: Path, count: Counter) -> None:
        """Upload the file; on file systems without atomic uploads under a temporary name first.

        Raises:
            AccessDenied, StoreError: it could not be written.
        """
        self._policy.call(lambda: self._put(oid.key, source, count))

    def _put(self, key: str, source: Path, count: Counter) -> None:
        from dvc_objects.fs.base import ObjectFileSystem
        from dvc_objects.fs.utils import as_atomic

        fs, root = self._open_file_system()
        path = fs.join(root, *key.split("/"))
        try:
            if isinstance(fs, ObjectFileSystem):
                fs.put_file(str(source), path, callback=_callback(count))
            else:
                with as_atomic(fs, path, create_parents=True) as unfinished:
                    fs.put_file(str(source), unfinished, callback=_callback(count))
        except Exception as error:
            raise _explain_error(error, self.name, f"writing {key}") from error

    @staticmethod
    def _path(fs: Any, root: str, oid: ObjectId) -> str:
        return str(fs.join(root, *oid.key.split("/")))

    # ------------------------------------------------------------------------------- run cache

    def list_files(self, folder: str) -> Iterator[str]:
        """Return paths, relative to the store, of the files below `folder`; none when it does not exist.

        Raises:
            AccessDenied, StoreError: it could not be listed.
        """
        fs, root = self._open_file_system()
        top = fs.join(root, folder)
        with _explain_errors(self.name, f"listing {folder}"):
            found = list(fs.find(top))
        for path in found:
            yield str(fs.relpath(path, root)).replace("\\", "/")

    def get_file(self, key: str, destination: Path, limit: int) -> bool:
        """Download a small file; False when it is absent or larger than `limit` bytes.

        Raises:
            AccessDenied, StoreError: it could not be read.
        """
        fs, root = self._open_file_system()
        path = fs.join(root, *key.split("/"))
        try:
            with _explain_errors(self.name, f"reading {key}"):
                if int(fs.info(path).get("size") or 0) > limit:
                    return False
                fs.get_file(path, str(destination))
        except FileNotFoundError:
            return False
        return True

    def put_file(self, key: str, source: Path) -> None:
        """Upload a small file under a path relative to the store.

        Raises:
            AccessDenied, StoreError: it could not be written.
        """
        self._policy.call(lambda: self._put(key, source, lambda _: None))


def _never_prompt(fs: Any) -> None:
    """Keep DVC from asking a person for an SSH password or passphrase; a build would wait forever."""
    if fs.protocol == "ssh":
        from asyncssh import SSHClient

        fs.fs_args["client_factory"] = SSHClient


@contextmanager
def _explain_errors(name: str, doing: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        return
    except Exception as error:
        raise _explain_error(error, name, doing) from error


def _callback(count: Counter) -> Any:
    from fsspec.callbacks import Callback

    class Counting(Callback):  # type: ignore[misc]
        def relative_update(self, inc: int = 1) -> None:
            count(int(inc))
            super().relative_update(inc)

        def absolute_update(self, value: int) -> None:
            count(max(int(value) - int(self.value), 0))
            super().absolute_update(value)

    return Counting()


def _explain_error(error: Exception, name: str, doing: str) -> MlbutlerError:
    """Return the error to raise, with kind and first line of this one alone: the rest may hold anything."""
    if isinstance(error, MlbutlerError):
        return error
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    text = (str(error).splitlines() or [""])[0][:200] or type(error).__name__
    what = f"Remote '{name}' failed while {doing}: {text}".rstrip(".") + "."
    kinds = {kind.__name__ for found in chain for kind in type(found).__mro__}
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(what, "Free some space and run again.")
    if kinds.intersection(_REFUSALS) or isinstance(error, PermissionError):
        return AccessDenied(what, f"Check the credentials for the remote '{name}' and what they are allowed to do.")
    if kinds.intersection(_FOR_GOOD):
        return StoreError(what, f"Check .dvc/config. {how_to_install(error)}")
    return Transient(what, "Check the network and the remote's url, then run again.")
