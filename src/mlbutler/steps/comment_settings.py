"""How the comment on a pull request is to be: as the team agreed, not as the pull request says itself."""

from __future__ import annotations

from mlbutler.settings import CommentSettings, settings_at
from mlbutler.steps.context import RunContext

_GIVEN = "MLBUTLER_"


def agreed(work: RunContext) -> CommentSettings:
    """Return the settings of the target branch for a pull request, else the project's own.

    What the agent's environment says counts in any case.
    """
    own = work.settings.comment
    if work.record.change.kind != "pull-request":
        return own
    found = settings_at(lambda name: target_file(work, work.prefix + name))
    there = found.comment if found is not None else CommentSettings()
    given = [key for key in CommentSettings.model_fields if _is_given(work, key)]
    return there.model_copy(update={key: getattr(own, key) for key in given})


def target_file(work: RunContext, path: str) -> bytes | None:
    """Return a file of the target branch by its path from the repository's root, None where there is none."""
    revisions = work.agreed_at
    return work.git.show(revisions[0], path) if revisions else None


def _is_given(work: RunContext, key: str) -> bool:
    return work.loaded.sources.get(f"comment.{key}", "").startswith(_GIVEN)
