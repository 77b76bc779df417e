"""Decide which variables that look like credentials the stages may have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from mlbutler.record import Change
from mlbutler.settings import LoadedSettings, settings_at


def allowed_names(
    loaded: LoadedSettings, change: Change, target: Iterable[str] | None, content: Callable[[str, str], bytes | None]
) -> tuple[str, ...]:
    """Return the names in ``reproduce.pass_environment`` that the change itself did not bring.

    A pull request brings its own settings: a name in it counts only when the target branch's have it too, or the
    merge base's, or when the name was given through the environment. A fork gets none.

    Args:
        target: the commits of these two; None where only the record tells of them, which the project's code can write.
        content: of a file at a commit, None where there is none.
    """
    names = loaded.settings.reproduce.pass_environment
    if not names or not change.trusted:
        return ()
    if change.kind != "pull-request" or loaded.sources.get("reproduce.pass_environment", "").startswith("MLBUTLER_"):
        return names
    found = [settings_at(partial(content, revision)) for revision in target or ()]
    agreed = {name for settings in found if settings is not None for name in settings.reproduce.pass_environment}
    return tuple(name for name in names if name in agreed)
