"""The stores of a project's data, as one run uses them."""

from __future__ import annotations

from dataclasses import dataclass

from mlbutler.remotes.opening import Remotes
from mlbutler.store.local import LocalStore


@dataclass(frozen=True)
class Stores:
    """Hold where data comes from and goes to: DVC's cache, the agent's mirror (None for none), the remotes."""

    cache: LocalStore
    mirror: LocalStore | None
    remotes: Remotes
