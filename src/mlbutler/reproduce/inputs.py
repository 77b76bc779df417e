"""Detect that a stage wrote into data that it was given to read.

Where files are links, that damages the cache as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from mlbutler.errors import StoreError
from mlbutler.store.damage import drop_damaged
from mlbutler.store.holdings import files_of
from mlbutler.store.interface import ObjectId
from mlbutler.store.local import LocalStore

if TYPE_CHECKING:
    from mlbutler.project.data import ProjectData


def find_changed_inputs(
    project: ProjectData, before: Collection[str], ran: Collection[str], stores: Collection[LocalStore]
) -> tuple[str, ...]:
    """Return artifacts laid out for reading that have changed; remove damaged objects from `stores`.

    Args:
        before: paths that were as they had been laid out when the first stage began (`HashCache.unchanged_paths`): what
            an earlier run or a user did to others is nobody's fault here.
        ran: names of the stages that ran: their own outputs are theirs to change.

    Raises:
        StoreError: a damaged object cannot be removed.
    """
    changed = []
    for path in project.hashes.changed_paths(before):
        owner = project.stages.owners.get(path)
        if owner is None or owner[0].name in ran or owner[1].recorded is None or owner[1].recorded.oid is None:
            continue
        changed.append(path)
        try:
            drop_damaged(stores, _objects(owner[1].recorded.oid, stores))
        except OSError as error:
            raise StoreError(
                f"A stage wrote into {path}, and its damaged copy in the cache cannot be removed: {error.strerror}.",
                "Remove the cache, or give this user the right to.",
            ) from error
    return tuple(changed)


def _objects(oid: ObjectId, stores: Collection[LocalStore]) -> Iterator[ObjectId]:
    yield oid
    if oid.is_directory:
        for store in stores:
            yield from files_of(store, oid) or ()
