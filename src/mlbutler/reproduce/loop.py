"""Detect a stage that changes every time it runs: a results commit would ask for the next one, for ever."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from mlbutler.git import Git
from mlbutler.record import Cause, PlanResult

TRAILER = "Mlbutler-Reproduced"


def is_settled(git: Git) -> bool:
    """Return whether HEAD is a results commit of ours, with nothing changed since: nothing should be stale."""
    return TRAILER in git.trailers("HEAD") and not git.dirty()


def verdict(git: Git, settled: bool, plan: PlanResult, changed: Sequence[str], reason: str) -> dict[str, Any]:
    """Return fields of the step's result for the stages that ran right after our own commit and changed outputs.

    Args:
        settled: `is_settled` before the stages ran. changed: stages that ran and made other outputs.
    """
    if not settled or not changed:
        return {}
    authored = _changed_by_head(git)
    causes = {stage.name: stage.causes for stage in plan.stages}
    always = tuple(name for name in changed if not _is_explained(causes[name], authored))
    if not always:
        return {}
    return {"always_changes": always, "reason": f"{reason}; not deterministic: always changes: {', '.join(always)}"}


def _changed_by_head(git: Git) -> frozenset[str]:
    parents = git.parents("HEAD")
    return frozenset(git.changed(parents[0], "HEAD")) if parents else frozenset()


def _is_explained(causes: Sequence[Cause], authored: Collection[str]) -> bool:
    """Return whether somebody amended our commit.

    Ours never holds code, nor the files that define stages.
    """
    files = {path.rpartition("/")[2] for path in authored}
    return any(
        (cause.kind == "code" and any(path == cause.subject or path.endswith(f"/{cause.subject}") for path in authored))
        or (cause.kind in ("command", "never run") and "dvc.yaml" in files)
        for cause in causes
    )
