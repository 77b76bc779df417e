"""Hashing everything that a directory of objects holds."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from mlbutler.errors import StoreError
from mlbutler.store.files import explain_os_error
from mlbutler.store.interface import ObjectId
from mlbutler.store.local import LocalStore
from mlbutler.store.pool import imap_unordered
from mlbutler.store.upkeep.survey import StoredObject, survey
from mlbutler.store.verify import file_md5


@dataclass(frozen=True)
class Verified:
    """What was hashed: objects, bytes, and the damaged ones; and those that could not be read, with the reason."""

    objects: int
    bytes: int
    damaged: tuple[ObjectId, ...] = ()
    unreadable: tuple[tuple[ObjectId, str], ...] = ()


def verify_mirror(store: LocalStore, *, jobs: int = 2, remove: bool = False,
           progress: Callable[[int, int], None] = lambda objects, size: None) -> Verified:  # fmt: skip
    """Hash every object.

    Args:
        remove: damaged objects of a mirror, which are then fetched again from the remote. Else they are made writable,
            so that DVC and mlbutler hash them before they use them.
        progress: called with finished objects and hashed bytes.

    Raises:
        StoreError: the directory cannot be read.
    """
    try:
        found = [item.oid for item in survey(store.root) if isinstance(item, StoredObject)]
    except OSError as error:
        raise explain_os_error(error, "looking through the objects", store.root) from error
    size = 0
    damaged: list[ObjectId] = []
    unreadable: list[tuple[ObjectId, str]] = []
    stop = threading.Event()
    objects = 0

    def look(oid: ObjectId) -> int | None:
        return _verify_object(store, oid, lambda count: progress(0, count), remove=remove)

    with closing(imap_unordered(look, found, jobs, stop)) as done:
        for oid, result in done:
            progress(1, 0)
            if isinstance(result, FileNotFoundError):  # evicted meanwhile
                continue
            objects += 1
            if isinstance(result, OSError):
                unreadable.append((oid, result.strerror or type(result).__name__))
            elif isinstance(result, BaseException):
                raise result
            elif result is None:
                damaged.append(oid)
            else:
                size += result
    return Verified(objects, size, tuple(sorted(damaged)), tuple(sorted(unreadable)))


def _verify_object(store: LocalStore, oid: ObjectId, count: Callable[[int], None], *, remove: bool) -> int | None:
    """Hash an object; return its bytes, or None where it is damaged, after putting it out of use."""
    path = store.path(oid)
    before = path.stat()
    if file_md5(path, legacy=oid.legacy, count=count) == oid.md5.removesuffix(".dir"):
        return before.st_size
    if _same(path, before):  # not healed by a build meanwhile
        if remove:
            with suppress(OSError):
                path.unlink()
        if path.exists():
            store.distrust(oid)
    return None


def _same(path: Path, before: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), before)
    except FileNotFoundError:
        return False


def require_folder(store: LocalStore) -> None:
    """Refuse a directory that is not there.

    Raises:
        StoreError: it is not.
    """
    if not store.root.is_dir():
        raise StoreError(f"There is no {store.name} at {store.root}.", "Check data.mirror, or --mirror.")
