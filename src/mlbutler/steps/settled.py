"""Which outputs are those of the code that is compared, and which need not be."""

from __future__ import annotations

from collections.abc import Mapping

from mlbutler.compare.snapshot import Snapshot
from mlbutler.record import Cause, Outcome, PlanResult, StageState
from mlbutler.steps.work import Work

_BEFORE = "what is here is from before the change"
_UNDONE = {"failed": "failed", "interrupted": "was interrupted", "not reached": "was not reached"}
_OUTDATED = (StageState.STALE, StageState.RESTORABLE)


def left_over(work: Work, new: Snapshot) -> Mapping[str, str]:
    """Path of each output that need not be that of the change -> why, as a clause: its stage is stale and did not run.

    In a run the plan and what became of its stages say so; for `compare` alone the project is looked at.

    Args:
        new: the work tree; where its dvc.lock cannot be read, of no output is known whether it is up to date.

    Raises:
        ProjectError: the project cannot be read.
    """
    if new.problem:
        made = {path for stage in new.definitions or () for path in stage.outputs}
        return dict.fromkeys(
            made if new.definitions is not None else new.metrics,
            f"{new.problem}, so that nobody can tell whether this is of the code here",
        )
    plan = work.record.plan
    planned = work.pipeline and plan is not None and plan.outcome is not Outcome.ERROR
    reasons = dict(_in_run(work) if planned else _here(work))
    if planned and plan is not None and (beyond := _beyond(work, plan)):
        reasons |= {name: why for name, why in _here(work).items() if name in beyond}
    if not reasons:
        return {}
    owners = work.project.stages.owners
    return {path: reasons[stage.name] for path, (stage, _) in owners.items() if stage.name in reasons}


def _beyond(work: Work, plan: PlanResult) -> frozenset[str]:
    """The stages that were not planned: those that ``reproduce.targets`` leaves out."""
    return frozenset(stage.name for stage in work.project.stages.pipeline()) - {stage.name for stage in plan.stages}


def _in_run(work: Work) -> Mapping[str, str]:
    plan, run = work.record.plan, work.record.reproduce
    became = {stage.name: stage.outcome for stage in run.stages} if run is not None else {}
    reasons = {}
    for stage in plan.stages if plan is not None else ():
        outcome = became.get(stage.name, "")
        if outcome in ("ran", "restored"):
            continue
        if stage.state in (StageState.NOT_KNOWN, StageState.CANNOT_RUN):
            reasons[stage.name] = _why(stage.name, stage.state, stage.causes)
        elif what := _UNDONE.get(outcome):
            reasons[stage.name] = f"stage '{stage.name}' {what}: {_BEFORE}"
        elif stage.state in _OUTDATED and outcome != "unchanged":
            reasons[stage.name] = _why(stage.name, stage.state, stage.causes)
    return reasons


def _here(work: Work) -> Mapping[str, str]:
    return {plan.name: _why(plan.name, plan.state, plan.causes) for plan in work.project.unsettled()}


def _why(name: str, state: StageState, causes: tuple[Cause, ...]) -> str:
    if state is StageState.NOT_KNOWN:
        first = f" ({causes[0].subject}: {causes[0].detail})" if causes else ""
        return f"it is not known whether stage '{name}' is up to date{first}"
    if state is StageState.CANNOT_RUN:
        return f"stage '{name}' is stale and cannot run: {_BEFORE}"
    return f"stage '{name}' is stale and did not run: {_BEFORE}"
