"""Which stages are stale and why, and what they need."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from mlbutler.console import human_seconds
from mlbutler.project.planned import Watched
from mlbutler.project.times import read_times
from mlbutler.record import Outcome, PlanResult, StagePlan, StageState
from mlbutler.steps.work import Work

_SIGNS = {
    StageState.UP_TO_DATE: "=",
    StageState.FROZEN: "*",
    StageState.RESTORABLE: "<",
    StageState.STALE: "!",
}


def run(work: Work, lost: Collection[str] = ()) -> PlanResult:
    """Plan the stages that `reproduce.targets` names, or all.

    Args:
        lost: paths of outputs that no store holds.
    """
    before, targets = work.record.plan, work.settings.reproduce.targets
    if not lost and before is not None and not before.stale() and work.planned.holds(before.stages, targets):
        work.plan_held = True
        return PlanResult(outcome=Outcome.PASSED, reason=_sentence(before), stages=before.stages)
    work.plan_held = False
    fresh = "project" not in vars(work)
    watched = Watched(work.root)
    with watched.watching():
        project = work.project
        result = _planned(work, lost)
    if fresh and not lost and result.stages and not result.stale() and not project.stages.orphans:
        work.planned.keep(result.stages, targets, project.read_paths(), watched)
    else:
        work.planned.forget()
    return result


def _planned(work: Work, lost: Collection[str]) -> PlanResult:
    project = work.project
    times = read_times(work.root, work.mirror, work.record.change.repository, work.prefix)
    plans = project.plan(work.settings.reproduce.targets, times, lost)
    stages = tuple(_with_cost(work, plan) for plan in plans)
    for stage in stages:
        _show(work, stage)
    result = PlanResult(outcome=Outcome.PASSED, reason="", stages=stages)
    return PlanResult(outcome=Outcome.PASSED, reason=_sentence(result), stages=stages)


def _with_cost(work: Work, plan: StagePlan) -> StagePlan:
    sizes = [need.size for need in work.project.needed([plan]) if not work.project.holds(need.oid)]
    known = [size for size in sizes if size is not None]
    total = sum(known) if len(known) == len(sizes) else None
    return dataclasses.replace(plan, need_bytes=total)


def _show(work: Work, stage: StagePlan) -> None:
    took = f", took {human_seconds(stage.last_duration)} last time" if stage.last_duration is not None else ""
    why = "; ".join(f"{cause.kind} {cause.subject} ({cause.detail})" for cause in stage.causes)
    text = f"{_SIGNS[stage.state]} {stage.name}: {stage.state}{': ' + why if why else ''}{took if why else ''}"
    if stage.state in (StageState.STALE, StageState.RESTORABLE):
        work.console.line(text)
    else:
        work.console.detail(text)


def _sentence(result: PlanResult) -> str:
    counts = {state: sum(stage.state == state for stage in result.stages) for state in StageState}
    if not result.stages:
        return "the project has no stages"
    if not result.stale():
        frozen = f", {counts[StageState.FROZEN]} frozen" if counts[StageState.FROZEN] else ""
        return f"nothing is stale: {counts[StageState.UP_TO_DATE]} of {len(result.stages)} stages up to date{frozen}"
    parts = [f"{counts[state]} {state}" for state in StageState if counts[state]]
    return ", ".join(parts)
