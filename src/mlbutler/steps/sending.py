"""Sending a run's objects and run cache to mirror, near remote and remote, as the verbs that keep results do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from mlbutler.record import Moved
from mlbutler.steps.context import RunContext
from mlbutler.steps.stores import open_stores

if TYPE_CHECKING:
    from mlbutler.project.artifact import Artifact
    from mlbutler.store.interface import ObjectId, Store
    from mlbutler.store.local import LocalStore
    from mlbutler.store.runs import RunCacheEntry


def keep_in_mirror(context: RunContext, ran: Collection[str]) -> None:
    """Put what dvc.lock records now into the mirror, with its run cache, if this run may write there.

    Args:
        ran: names of the stages that this build has run.
    """
    if not context.trusted or context.mirror is None:
        return
    context.project.reload()
    artifacts = [artifact for artifact in context.project.artifacts() if artifact.oid is not None]
    context.mirror_use.begin()
    stores = open_stores(context)
    cache, mirror = stores.cache, stores.mirror
    assert mirror is not None
    runs = runs_of_build(context, cache, artifacts, ran)
    send_to_mirror(context, cache, mirror, artifacts, runs)


def runs_of_build(
    context: RunContext, cache: LocalStore, artifacts: Iterable[Artifact], ran: Collection[str]
) -> tuple[RunCacheEntry, ...]:
    """Return the entries of DVC's run cache that made what dvc.lock records now.

    In CI these are only entries of stages that mlbutler has run in this build: tests and stages can write others
    into the cache, which other builds would then restore.
    """
    from mlbutler.store.runs import current

    found = current(cache, [artifact.oid for artifact in artifacts if artifact.oid is not None])
    if context.record.change.kind == "local":
        return found
    made = context.project.planning.runs_of(ran)
    return tuple(run for run in found if made.get(run.stage_key) == run.named)


def send_to_mirror(
    context: RunContext,
    cache: LocalStore,
    mirror: LocalStore,
    artifacts: Iterable[Artifact],
    runs: Iterable[RunCacheEntry],
) -> Moved | None:
    """Send objects, then run cache, to the mirror; None when it failed, which is only reported."""
    from mlbutler.errors import DiskFull, StoreError
    from mlbutler.store.holdings import is_complete, local_objects
    from mlbutler.store.send import send_to_store

    recorded = [artifact.oid for artifact in artifacts if artifact.oid is not None and artifact.cached]
    objects = local_objects(cache, [*recorded, *(oid for run in runs for oid in run.outputs)])
    context.mirror_use.acquire(recorded)
    try:
        with context.console.progress("to the mirror") as progress:
            sent = send_to_store(objects, cache, mirror, progress=progress)
        if sent.errors:
            raise sent.errors[0]
        send_runs(cache, mirror, [run for run in runs if is_complete(cache, run.outputs)])
    except (StoreError, DiskFull) as error:
        context.console.line(f"The mirror is not used: {error.message}")
        return None
    context.mirror_use.grew(sum(moved.bytes for moved in sent.moved))
    return sent.moved[0] if sent.moved else Moved(place=mirror.name, objects=0, bytes=0)


def send_to_near_remote(
    context: RunContext, cache: LocalStore, near: Store, artifacts: Sequence[Artifact], runs: Sequence[RunCacheEntry],
    moved: list[Moved],
) -> str:  # fmt: skip
    """Send what the project's remote gets to the remote that is a mirror of it; a failure is only reported.

    Returns:
        its name where it keeps the run cache too, else ''.
    """
    from mlbutler.errors import DiskFull, StoreError
    from mlbutler.store.holdings import is_complete

    cached = [artifact for artifact in artifacts if artifact.cached and artifact.oid is not None]
    shared = {
        a.oid for a in cached if a.oid is not None and a.pushed and a.remote in (None, context.project.remote_name)
    }
    elsewhere = {artifact.oid for artifact in cached} - shared
    entries = [run for run in runs if not run.outputs & elsewhere and is_complete(cache, run.outputs)]
    try:
        send_objects(context, cache, near, [*shared, *(oid for run in entries for oid in run.outputs)], moved)
        if entries and keeps_runs(near):
            send_runs(cache, near, entries)
            return near.name
    except (StoreError, DiskFull) as error:
        context.console.line(f"The mirror '{near.name}' is not used: {error.message}")
    return ""


def send_objects(
    context: RunContext, cache: LocalStore, store: Store, oids: Iterable[ObjectId], moved: list[Moved]
) -> int:
    """Send what the store is missing; return how many of these objects were read back and are whole."""
    from mlbutler.store.holdings import local_objects
    from mlbutler.store.send import send_to_store, worst

    objects = local_objects(cache, oids)
    if not objects:
        return 0
    with context.console.progress(f"to {store.name}") as progress:
        sent = send_to_store(objects, cache, store, progress=progress)
    moved.extend(sent.moved)
    error = worst(sent.errors)
    if error is not None:
        raise error
    return sent.read_back


def keeps_runs(store: Store) -> bool:
    """Return whether the store can hold DVC's run cache."""
    from mlbutler.store.local import LocalStore
    from mlbutler.store.other import OtherStore

    return isinstance(store, LocalStore | OtherStore)


def send_runs(cache: LocalStore, store: Store, entries: Iterable[RunCacheEntry]) -> None:
    """Copy entries of the run cache that the store, which can hold them, is missing."""
    from mlbutler.store.local import LocalStore
    from mlbutler.store.other import OtherStore
    from mlbutler.store.runs import copy_entry, keys

    assert isinstance(store, LocalStore | OtherStore)
    there = keys(store)
    for entry in entries:
        if entry.key not in there:
            copy_entry(cache, store, entry.key)
