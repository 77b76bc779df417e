"""What a run knows from earlier runs; each cache is opened when it is first needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mlbutler.settings import Settings
from mlbutler.state.fingerprint import Fingerprints

if TYPE_CHECKING:
    from mlbutler.state.presence import Invalidation, PresenceCache, PushCheckCache
    from mlbutler.state.results import InputFingerprints, PlanCache, SyncCache
    from mlbutler.state.seal import Seal


@dataclass(eq=False)
class RunState:
    """Open the caches of one clone and its mirror.

    Attributes:
        mirror: the agent's mirror, None for none. environ: where the remotes' credentials are.
        fingerprints: those that this process has just taken of files. versions: of what else a plan depends on.
        trusted: whether the change is one of the repository's own. sealed: whether only lines with a valid code count.
    """

    root: Path
    mirror: Path | None
    settings: Settings
    environ: Mapping[str, str]
    fingerprints: Fingerprints
    versions: Sequence[str]
    trusted: bool
    sealed: bool

    @cached_property
    def _seal(self) -> Seal:
        """Return the seal that proves what mlbutler itself wrote; needed on a CI server alone."""
        from mlbutler.state.seal import UNSEALED, Seal, secret

        if not self.sealed:
            return UNSEALED
        return Seal(secret(self.environ, self.settings.reproduce.pass_environment))

    @cached_property
    def inputs(self) -> InputFingerprints:
        """Return the fingerprints of the project's files, by status and by hash."""
        from mlbutler.state.hashes import HashCache
        from mlbutler.state.results import InputFingerprints

        return InputFingerprints(self.root, self.fingerprints, HashCache(self.root, self.fingerprints))

    @property
    def plans(self) -> PlanCache:
        """Return the cache of this clone's last plan and its inputs."""
        from mlbutler.state.results import PlanCache

        return PlanCache(self.inputs, self.versions, anonymous=not self.trusted, environ=self.environ, seal=self._seal)

    @property
    def push_checks(self) -> PushCheckCache:
        """Return the cache of pushes that this clone, or another build on this agent, found complete on the remote."""
        from mlbutler.state.presence import PushCheckCache

        return PushCheckCache(self._invalidation, self._seal)

    @property
    def _invalidation(self) -> Invalidation:
        """Return what ends answers of remotes."""
        from mlbutler.state.presence import Invalidation

        places = [self.root / ".mlbutler", *([self.mirror / "mlbutler"] if self.mirror is not None else [])]
        return Invalidation(places, self.settings.data.remember)

    @property
    def in_place(self) -> SyncCache:
        """Return the cache of this clone's last sync, if that left everything in place."""
        from mlbutler.state.results import SyncCache

        return SyncCache(self.inputs, self.plans, self._seal)

    @property
    def presence(self) -> PresenceCache:
        """Return what earlier builds saw on the remotes; kept beside the mirror if there is one, else in this clone."""
        from mlbutler.state.presence import PresenceCache

        invalidation = self._invalidation
        return PresenceCache(invalidation.places[-1], invalidation, self._seal)
