"""Which variables that look like credentials the stages may have."""

from __future__ import annotations

from collections.abc import Callable

from mlbutler.errors import SettingsError
from mlbutler.record import Change
from mlbutler.settings import Loaded, parse


def allowed(loaded: Loaded, change: Change, settings_at: Callable[[str], bytes | None]) -> tuple[str, ...]:
    """The names in ``reproduce.pass_environment`` that the change itself did not bring.

    A pull request brings its own mlbutler.toml: a name in it counts only when the merge base's has it too,
    or when the name was given through the environment. A fork gets none.

    Args:
        settings_at: the content of mlbutler.toml at a commit, None where there is none.
    """
    names = loaded.settings.reproduce.pass_environment
    if not names or change.fork:
        return ()
    if change.kind != "pull-request" or loaded.sources.get("reproduce.pass_environment", "").startswith("MLBUTLER_"):
        return names
    text = settings_at(change.base) if change.base else None
    if text is None:
        return ()
    try:
        before = parse(text.decode("utf-8", "replace")).reproduce.pass_environment
    except SettingsError:
        return ()
    return tuple(name for name in names if name in before)
