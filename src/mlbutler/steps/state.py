"""What a run knows from those before it, each memory opened when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mlbutler.settings import Settings
from mlbutler.state.fingerprint import Fingerprints

if TYPE_CHECKING:
    from mlbutler.state.presence import Expiry, PresenceCache, PushCheckCache
    from mlbutler.state.results import InputFingerprints, PlanCache, SyncCache
    from mlbutler.state.seal import Seal


@dataclass(eq=False)
class RunState:
    """The memories of one clone and its mirror.

    Attributes:
        mirror: the agent's mirror, None for none. environ: where the remotes' credentials are.
        fingerprints: what this process has just seen of files. versions: of what a plan depends on besides files.
        trusted: is the change one of the repository's own? sealed: is only believed what carries a code?
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
        """Shows what was remembered by mlbutler itself; needed on a CI server alone."""
        from mlbutler.state.seal import UNSEALED, Seal, secret

        if not self.sealed:
            return UNSEALED
        return Seal(secret(self.environ, self.settings.reproduce.pass_environment))

    @cached_property
    def inputs(self) -> InputFingerprints:
        """What the files of the project are, by status and by hash."""
        from mlbutler.state.hashes import HashCache
        from mlbutler.state.results import InputFingerprints

        return InputFingerprints(self.root, self.fingerprints, HashCache(self.root, self.fingerprints))

    @property
    def plans(self) -> PlanCache:
        """What the last plan of this clone rested on."""
        from mlbutler.state.results import PlanCache

        return PlanCache(self.inputs, self.versions, anonymous=not self.trusted, environ=self.environ, seal=self._seal)

    @property
    def push_checks(self) -> PushCheckCache:
        """That all was on the remote when this clone, or another build on this agent, last asked."""
        from mlbutler.state.presence import PushCheckCache

        return PushCheckCache(self._expiry, self._seal)

    @property
    def _expiry(self) -> Expiry:
        """How long answers of a remote are believed."""
        from mlbutler.state.presence import Expiry

        places = [self.root / ".mlbutler", *([self.mirror / "mlbutler"] if self.mirror is not None else [])]
        return Expiry(places, self.settings.data.remember)

    @property
    def in_place(self) -> SyncCache:
        """That everything was in place when this clone last synced."""
        from mlbutler.state.results import SyncCache

        return SyncCache(self.inputs, self.plans, self._seal)

    @property
    def presence(self) -> PresenceCache:
        """What earlier builds saw on the remotes; beside the mirror where there is one, else in this clone alone."""
        from mlbutler.state.presence import PresenceCache

        expiry = self._expiry
        return PresenceCache(expiry.places[-1], expiry, self._seal)
