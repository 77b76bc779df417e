"""The stores of a run: cache, mirror, the remote near the agents, and the remotes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlbutler.errors import OutsideError

if TYPE_CHECKING:
    from mlbutler.remotes.opening import Remotes
    from mlbutler.remotes.stores import Stores
    from mlbutler.steps.context import RunContext
    from mlbutler.store.interface import Store


def open_stores(work: RunContext) -> Stores:
    """Open cache, mirror and remotes; what is known of their objects is read again."""
    from mlbutler.remotes.opening import Remotes, open_cache, open_mirror
    from mlbutler.remotes.stores import Stores

    data, project = work.settings.data, work.project
    remotes = Remotes(project, project.remote_name, work.environ if work.trusted else {}, data.jobs)
    return Stores(
        open_cache(project),
        open_mirror(work.mirror, project, trusted=work.trusted, link=data.link),
        _near(work, remotes),
        remotes,
    )


def _near(work: RunContext, remotes: Remotes) -> Store | None:
    """Return the remote that is a mirror for all agents, None where there is none or it cannot be used."""
    name = work.settings.data.mirror_remote
    if name is None or name == work.project.remote_name:
        return None
    try:
        return remotes(name)
    except OutsideError as error:
        work.console.line(f"The mirror '{name}' is not used: {error.message}")
        return None
