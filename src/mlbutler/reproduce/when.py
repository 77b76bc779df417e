"""Decide which builds reproduce the experiment: the five choices of ``reproduce.when``."""

from __future__ import annotations

from mlbutler.frozen import frozen
from mlbutler.record import Change
from mlbutler.settings import ReproduceSettings


@frozen
class ReproduceDecision:
    """Reproduce or not, and why, in words for the record."""

    run: bool
    reason: str


def decide_run(settings: ReproduceSettings, change: Change, asked: bool) -> ReproduceDecision:
    """Decide whether this build reproduces the experiment.

    Args:
        asked: a person asked for it by hand (`mlbutler reproduce`). A run on a laptop counts as asked.
    """
    if asked or change.kind == "local":
        return ReproduceDecision(True, "asked for by hand")
    if settings.skip_token and settings.skip_token in change.message:
        return ReproduceDecision(False, f"the commit message says {settings.skip_token}")
    if settings.when == "manual":
        return ReproduceDecision(False, "reproduce.when is 'manual': run `mlbutler reproduce` by hand")
    if settings.when == "every-commit":
        return ReproduceDecision(True, "reproduce.when is 'every-commit'")
    if settings.when == "message":
        found = bool(settings.token) and settings.token in change.message
        return ReproduceDecision(found, f"the commit message {'says' if found else 'does not say'} {settings.token}")
    if settings.when == "target-branch":
        found = (
            change.kind == "branch" and change.head_branch is not None and change.head_branch == change.target_branch
        )
        return ReproduceDecision(found, f"reproduce.when is 'target-branch', and this is {'' if found else 'not '}it")
    found = change.kind == "pull-request"
    return ReproduceDecision(found, f"reproduce.when is 'pull-request', and this is {'one' if found else 'none'}")
