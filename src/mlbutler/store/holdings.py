"""What a local store holds whole: directories count only with all their files."""

from __future__ import annotations

from collections.abc import Iterable

from mlbutler.errors import CorruptObject
from mlbutler.store.interface import ObjectId
from mlbutler.store.local import LocalStore
from mlbutler.store.manifest import parse_manifest
from mlbutler.store.verify import is_content


def files_of(store: LocalStore, directory: ObjectId) -> tuple[ObjectId, ...] | None:
    """Return the objects of a directory's files; None when its manifest is absent, damaged or refused."""
    try:
        content = store.path(directory).read_bytes()
        files = parse_manifest(content, directory) if is_content(content, directory) else None
    except (OSError, CorruptObject):
        return None
    if files is None:
        return None
    return tuple(dict.fromkeys(ObjectId(md5, directory.legacy) for md5 in files.values()))


def local_objects(store: LocalStore, oids: Iterable[ObjectId]) -> tuple[ObjectId, ...]:
    """Return those of these objects, and of the files of directories among them, that the store holds.

    A manifest is among them only if all its files are: elsewhere it must not promise what is not there.
    """
    found: dict[ObjectId, None] = {}
    for oid in dict.fromkeys(oids):
        if not oid.is_directory:
            found[oid] = None
        elif (files := files_of(store, oid)) is not None:
            found.update(dict.fromkeys(files))
            if all(store.stat(file) is not None for file in files):
                found[oid] = None
    return tuple(oid for oid in found if store.stat(oid) is not None)


def is_complete(store: LocalStore, oids: Iterable[ObjectId]) -> bool:
    """Tell whether the store holds all of them, directories with their files."""
    for oid in oids:
        if store.stat(oid) is None:
            return False
        if oid.is_directory:
            files = files_of(store, oid)
            if files is None or any(store.stat(file) is None for file in files):
                return False
    return True
