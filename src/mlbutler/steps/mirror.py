"""A run's use of the agent's mirror: which objects it protects, and when the mirror evicts others."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from mlbutler.numbers import count

if TYPE_CHECKING:
    from mlbutler.store.interface import ObjectId
    from mlbutler.store.upkeep.uses import BuildLease

Eviction = tuple[bool, int | None]
"""May the mirror be marked as one and lose objects; the size above which it does, None for no limit."""


class MirrorUse:
    """Protect one run's objects in the mirror, and evict others when it grows too large.

    Args:
        mirror: the mirror, None where there is none. trusted: whether the run may write what others read.
        eviction: see `mlbutler.steps.eviction`; called when it is first needed.
        remotes: the directories that are the project's remotes; nothing is evicted from these.
        say: called with a line for people.
    """

    def __init__(
        self,
        mirror: Path | None,
        *,
        trusted: bool,
        eviction: Callable[[], Eviction],
        remotes: Callable[[], Collection[Path]],
        say: Callable[[str], None],
    ) -> None:
        self._mirror, self._trusted = mirror, trusted
        self._eviction, self._remotes, self._say = eviction, remotes, say
        self._leases: list[BuildLease] = []

    def acquire(self, oids: Collection[ObjectId]) -> None:
        """Register that this build uses these artifacts: until it ends, the mirror does not evict them."""
        if self._mirror is not None:
            from mlbutler.store.upkeep.uses import acquire

            self._leases.append(acquire(self._mirror, oids, ephemeral=not self._trusted))

    def begin(self) -> None:
        """Mark the directory as a mirror, if this run is the first that uses it and may decide that."""
        if self._mirror is None or not self._trusted:
            return
        from mlbutler.store.upkeep import mark

        if not mark.is_marked(self._mirror) and self._eviction()[0]:
            mark.mark_if_empty(self._mirror)

    def grew(self, size: int) -> None:
        """Evict the least recently used objects from the mirror when `size` more bytes exceed its limit."""
        if self._mirror is None or not self._trusted or size <= 0 or not self._mirror.is_dir():
            return
        from mlbutler.errors import DiskFull, StoreError
        from mlbutler.store.upkeep import prune

        known, limit = self._eviction()
        if not known:
            return
        prune.record_growth(self._mirror, size)
        if limit is None:
            return
        try:
            done = prune.keep_below(self._mirror, limit, self._remotes())
        except (StoreError, DiskFull) as error:
            self._say(f"The mirror stays as large as it is: {error.message}")
            return
        if done is not None and done.objects:
            self._say(f"The mirror was above its limit: {count(done.objects, 'object')} evicted")
