"""The stores of a run: cache, mirror, the remote near the agents, and the remotes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlbutler.errors import OutsideError

if TYPE_CHECKING:
    from mlbutler.remotes.opening import Remotes
    from mlbutler.remotes.stores import Stores
    from mlbutler.steps.context import RunContext
    from mlbutler.store.interface import Store


def open_stores(context: RunContext) -> Stores:
    """Open cache, mirror and remotes; what is known of their objects is read again."""
    from mlbutler.remotes.opening import Remotes, open_cache, open_mirror
    from mlbutler.remotes.stores import Stores

    data, project = context.settings.data, context.project
    remotes = Remotes(project, project.remote_name, context.environ if context.trusted else {}, data.jobs)
    return Stores(
        open_cache(project),
        open_mirror(context.mirror, project, trusted=context.trusted, link=data.link),
        _near(context, remotes),
        remotes,
    )


def _near(context: RunContext, remotes: Remotes) -> Store | None:
    """Return the remote that is a mirror for all agents, None where there is none or it cannot be used."""
    name = context.settings.data.mirror_remote
    if name is None or name == context.project.remote_name:
        return None
    try:
        return remotes(name)
    except OutsideError as error:
        context.console.line(f"The mirror '{name}' is not used: {error.message}")
        return None
