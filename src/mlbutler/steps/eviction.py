"""Deciding which directory is a mirror and when it evicts objects, never by settings that a change brings."""

from __future__ import annotations

from collections.abc import Callable

from mlbutler.record import Change
from mlbutler.settings import LoadedSettings, Settings

_KEYS = ("mirror", "mirror_limit")


def agreed_eviction(
    loaded: LoadedSettings, change: Change, target: Callable[[], Settings | None]
) -> tuple[bool, int | None]:
    """Return (whether the mirror may be marked as one and evict objects, the size above which it does).

    On a CI server both come from the environment or from the target branch's settings; on one's own machine from the
    settings as they are.

    Args:
        target: the target branch's settings, None where it has none.
    """
    data = loaded.settings.data
    told = {key: loaded.sources.get(f"data.{key}", "").startswith("MLBUTLER_") for key in _KEYS}
    if change.kind == "local" or all(told.values()):
        return True, data.mirror_limit
    theirs = target()
    known = told["mirror"] or (theirs is not None and theirs.data.mirror == data.mirror)
    if told["mirror_limit"]:
        return known, data.mirror_limit
    return known, theirs.data.mirror_limit if known and theirs is not None else None
