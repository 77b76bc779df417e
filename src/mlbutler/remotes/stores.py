"""The stores of a project's data, as one run uses them."""

from __future__ import annotations

from mlbutler.frozen import frozen
from mlbutler.remotes.opening import Remotes
from mlbutler.store.interface import Store
from mlbutler.store.local import LocalStore


@frozen
class Stores:
    """Hold where data comes from and goes to: DVC's cache, the agent's mirror, a remote near the agents, the remotes.

    `mirror` and `near` are None where there are none.
    """

    cache: LocalStore
    mirror: LocalStore | None
    near: Store | None
    remotes: Remotes
