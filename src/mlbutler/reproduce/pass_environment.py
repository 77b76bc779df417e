"""Which variables that look like credentials the stages may have."""

from __future__ import annotations

from collections.abc import Callable

from mlbutler.record import Change
from mlbutler.settings import Loaded, settings_at


def allowed(loaded: Loaded, change: Change, content: Callable[[str, str], bytes | None]) -> tuple[str, ...]:
    """The names in ``reproduce.pass_environment`` that the change itself did not bring.

    A pull request brings its own settings: a name in it counts only when the merge base's have it too,
    or when the name was given through the environment. A fork gets none.

    Args:
        content: of a file at a commit, None where there is none.
    """
    names = loaded.settings.reproduce.pass_environment
    if not names or change.fork:
        return ()
    if change.kind != "pull-request" or loaded.sources.get("reproduce.pass_environment", "").startswith("MLBUTLER_"):
        return names
    base = change.base
    before = settings_at(lambda name: content(base, name)) if base else None
    return tuple(name for name in names if before is not None and name in before.reproduce.pass_environment)
