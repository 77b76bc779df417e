"""Settings that a pull request must not decide for itself."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from mlbutler.settings import settings_at
from mlbutler.settings.types import SettingsSection
from mlbutler.steps.context import RunContext

S = TypeVar("S", bound=SettingsSection)


def agreed_section(context: RunContext, section: str, own: S, *, branches: bool = False) -> S:
    """Return a section of the settings; for a pull request on a CI server the target branch's.

    A variable of the agent's environment outweighs both.

    Args:
        own: the section of the work tree's settings.
        branches: do the target branch's count for a branch's build too? Where no target is known, those of the commit.
    """
    change = context.record.change
    if change.ci == "local" or (change.kind != "pull-request" and not branches):
        return own
    revisions, kind = context.agreed_at, type(own)
    if not revisions and change.kind == "branch":  # the only branch there is
        revisions = (change.head,)
    theirs = settings_at(lambda name: context.git.show(revisions[0], f"{context.prefix}{name}")) if revisions else None
    found = getattr(theirs, section) if theirs is not None else kind()
    keys = zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True)
    given = {name: getattr(own, name) for name, key in keys
             if context.loaded.sources.get(f"{section}.{key}", "").startswith("MLBUTLER_")}  # fmt: skip
    made: S = msgspec.structs.replace(found, **given)
    return made
