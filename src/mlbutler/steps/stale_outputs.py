"""Finding outputs that may not have been made by the code that is compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mlbutler.comparison.snapshot import Snapshot
from mlbutler.errors import ProjectError
from mlbutler.project.model import Stage, Stages
from mlbutler.record import Cause, Outcome, PlanResult, Record, StagePlan, StageState
from mlbutler.steps.context import RunContext

_BEFORE = "what is here is from before the change"
_UNDONE = {"failed": "failed", "interrupted": "was interrupted", "not reached": "was not reached"}
_OUTDATED = (StageState.STALE, StageState.RESTORABLE)


def stale_outputs(context: RunContext, new: Snapshot) -> Mapping[str, str]:
    """Return path -> why, as a clause, for each output that may be outdated: its stage is stale and did not run.

    In a run this follows from the plan and its stages' results; for `compare` alone the project is checked.

    Args:
        new: the work tree; where its dvc.lock cannot be read, of no output is known whether it is up to date.

    Raises:
        ProjectError: the project cannot be read.
    """
    if new.problem:
        made = {path for stage in new.definitions or () for path in stage.outputs}
        return dict.fromkeys(
            made if new.definitions is not None else new.metrics,
            f"{new.problem}, so it is not known whether this was made by the code here",
        )
    plan = context.record.plan
    planned = context.options.pipeline and plan is not None and plan.outcome is not Outcome.ERROR
    stages = list(plan.stages) if planned and plan is not None else list(context.project.planning.not_up_to_date())
    reasons = dict(_reasons_in_run(context.record) if planned else _reasons(stages))
    if planned and plan is not None and (beyond := _unplanned_stages(context.project.stages, plan)):
        stages += (others := [stage for stage in context.project.planning.not_up_to_date() if stage.name in beyond])
        reasons |= _reasons(others)
    for name in _stages_as_in_target(
        context, [s for s in stages if s.state is StageState.NOT_KNOWN and s.name in reasons]
    ):
        del reasons[name]
    if not reasons:
        return {}
    owners = context.project.stages.owners
    return {path: reasons[stage.name] for path, (stage, _) in owners.items() if stage.name in reasons}


def _unplanned_stages(stages: Stages, plan: PlanResult) -> frozenset[str]:
    """Return the stages that were not planned, since ``reproduce.targets`` does not include them."""
    return frozenset(stage.name for stage in stages.pipeline()) - {stage.name for stage in plan.stages}


def _reasons_in_run(record: Record) -> Mapping[str, str]:
    plan, run = record.plan, record.reproduce
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


def _reasons(plans: Iterable[StagePlan]) -> Mapping[str, str]:
    return {plan.name: _why(plan.name, plan.state, plan.causes) for plan in plans}


def _stages_as_in_target(context: RunContext, unknown: Sequence[StagePlan]) -> frozenset[str]:
    """Return the stages whose record, and whatever is not known of it, is the same as in the target.

    Nothing changed for them. This happens where a directory's list of files cannot be read and the directory is the
    same on both sides. Files outside the project are recorded nowhere else, and stay not known.
    """
    from mlbutler.project.snapshot import same_objects

    base = context.record.change.base
    if not unknown or base is None:
        return frozenset()
    try:
        side = context.project.snapshots.at_commit(base, context.prefix)
    except ProjectError:
        return frozenset()
    if side is None or side.problem:
        return frozenset()
    here = context.project.stages
    same = same_objects(side.stages, here)
    before, after = ({stage.name: stage for stage in stages.ordered} for stages in (side.stages, here))
    found: set[str] = set()
    for plan in unknown:
        then = before.get(plan.name)
        if then is None or not _records_the_same(then, after[plan.name]):
            continue
        owners = [here.owner(cause.subject) for cause in plan.causes if cause.subject not in found]
        if all(owner is not None and owner[1].path in same for owner in owners):
            found.add(plan.name)
    return frozenset(found)


def _records_the_same(one: Stage, other: Stage) -> bool:
    def of(stage: Stage) -> object:
        params = [(file.path, file.names, file.recorded) for file in stage.params]
        return stage.command, stage.dependencies, stage.outputs, params

    return of(one) == of(other)


def _why(name: str, state: StageState, causes: tuple[Cause, ...]) -> str:
    if state is StageState.NOT_KNOWN:
        first = f" ({causes[0].subject}: {causes[0].detail})" if causes else ""
        return f"it is not known whether stage '{name}' is up to date{first}"
    if state is StageState.CANNOT_RUN:
        return f"stage '{name}' is stale and cannot run: {_BEFORE}"
    return f"stage '{name}' is stale and did not run: {_BEFORE}"
