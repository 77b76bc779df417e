"""Which outputs are those of the code that is compared, and which are left from before."""

from __future__ import annotations

from collections.abc import Mapping

from mlbutler.record import StageState
from mlbutler.steps.work import Work

_MADE = ("ran", "restored", "unchanged")


def left_over(work: Work) -> Mapping[str, str]:
    """Path of each output that its stage should have made anew, and has not -> the stage's name.

    In a run the plan and what became of its stages say so; for `compare` alone the project is looked at.

    Raises:
        ProjectError: the project cannot be read.
    """
    plan, run = work.record.plan, work.record.reproduce
    if work.pipeline and plan is not None:
        made = {stage.name for stage in run.stages if stage.outcome in _MADE} if run is not None else set()
        due = (StageState.STALE, StageState.RESTORABLE)
        stale = {stage.name for stage in plan.stages if stage.state in due and stage.name not in made}
    else:
        stale = set(work.project.stale())
    if not stale:
        return {}
    owners = work.project.stages.owners
    return {path: stage.name for path, (stage, _) in owners.items() if stage.name in stale}
