"""Taking damaged objects out of cache and mirror, where a stage wrote through a link into what it was given to read."""

from __future__ import annotations

from collections.abc import Iterable

from mlbutler.store.interface import ObjectId
from mlbutler.store.local import LocalStore
from mlbutler.store.verify import is_object


def drop_damaged(stores: Iterable[LocalStore], oids: Iterable[ObjectId]) -> tuple[ObjectId, ...]:
    """Hash these objects and remove those that are not what their names say; the next `sync` brings them again.

    Raises:
        OSError: an object cannot be read or removed.
    """
    dropped: dict[ObjectId, None] = {}
    places = list(stores)
    for oid in dict.fromkeys(oids):
        for store in places:
            path = store.path(oid)
            if path.is_file() and not is_object(path, oid):
                path.unlink()
                dropped[oid] = None
    return tuple(dropped)
