"""Planning: which stages are stale and why, and what they need."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from mlbutler.console import Console, human_bytes, human_seconds
from mlbutler.errors import ProjectError
from mlbutler.numbers import count
from mlbutler.project.lock_check import leftovers
from mlbutler.project.paths import read_paths, recorded_hashes
from mlbutler.project.times import read_times
from mlbutler.record import Cost, Outcome, PlanResult, StagePlan, StageState
from mlbutler.record_file import read_record
from mlbutler.state.read_recorder import ReadRecorder
from mlbutler.steps.context import RunContext

if TYPE_CHECKING:
    from mlbutler.project.planning import Planning
    from mlbutler.project.project import Project

_SIGNS = {
    StageState.UP_TO_DATE: "=",
    StageState.FROZEN: "*",
    StageState.RESTORABLE: "<",
    StageState.STALE: "!",
    StageState.NOT_KNOWN: "?",
    StageState.CANNOT_RUN: "x",
}


def run(context: RunContext, lost: Collection[str] = ()) -> PlanResult:
    """Plan the stages that `reproduce.targets` names, or all.

    Args:
        lost: paths of outputs that no store holds.
    """
    before, targets = context.record.plan or context.options.earlier_plan, context.settings.reproduce.targets
    if (
        not lost
        and before is not None
        and before.is_up_to_date()
        and context.state.plans.is_valid(_states(before.stages), targets)
    ):
        context.progress.plan_held = True
        return PlanResult(
            outcome=Outcome.PASSED, reason=_sentence(before), stages=before.stages, left_over=before.left_over
        )
    context.progress.plan_held = False
    fresh, began = "project" not in vars(context), time.time()
    read = ReadRecorder(context.root)
    with read.recording():
        project = context.project
        result = _plan_stages(context, lost)
    if fresh and not lost and result.stages and result.is_up_to_date() and not project.stages.asks_elsewhere:
        from mlbutler.project.pushed import key_of

        artifacts = key_of(project.artifacts(), _address(context.environ, context.project))
        context.state.plans.put(
            _states(result.stages), targets, read_paths(project.stages), read, outputs=recorded_hashes(project.stages),
            artifacts=artifacts, settings=project.settings_files(), since=began,
        )  # fmt: skip
    else:
        context.state.plans.invalidate()
    return result


def earlier(context: RunContext) -> PlanResult | None:
    """Return what the last run on the same commit planned; on a CI server the project's code can write its record."""
    if context.record.change.ci != "local":
        return None
    try:
        before = read_record(context.record_path, strict=True)
    except ProjectError:
        return None
    return before.plan if before is not None and before.change.same_work(context.record.change) else None


def _states(stages: Sequence[StagePlan]) -> list[tuple[str, str, str]]:
    return [(stage.name, str(stage.state), stage.command) for stage in stages]


def _address(environ: Mapping[str, str], project: Project) -> Callable[[str | None], str]:
    """Return a function for a remote's address without credentials; '' where there is none, and for a directory."""
    from mlbutler.remotes.opening import address

    settings = project.repo.config
    return lambda own: address(settings, own or project.remote_name or "", environ)


def _plan_stages(context: RunContext, lost: Collection[str]) -> PlanResult:
    project = context.project
    times = read_times(context.root, context.mirror, context.record.change.repository, context.prefix)
    planning = project.planning
    plans = planning.plan(context.settings.reproduce.targets, times, lost)
    stages = tuple(dataclasses.replace(plan, need_bytes=planning.missing_bytes([plan])) for plan in plans)
    show_plan(context.console, stages)
    before = context.record.plan
    expected = before.expected if before is not None and before.expected is not None else _cost(planning, stages)
    for note in leftovers(project.stages.orphans):
        context.console.detail(note)
    result = PlanResult(
        outcome=_outcome(stages), reason="", remedy=_remedy(stages), stages=stages, expected=expected,
        left_over=project.stages.orphans,
    )  # fmt: skip
    return dataclasses.replace(result, reason=_sentence(result))


def _outcome(stages: Sequence[StagePlan]) -> Outcome:
    """Return failed where a stage cannot run until the project is changed; other stages run nevertheless."""
    states = {stage.state for stage in stages}
    if StageState.CANNOT_RUN in states:
        return Outcome.FAILED
    return Outcome.NOT_KNOWN if StageState.NOT_KNOWN in states else Outcome.PASSED


def _remedy(stages: Sequence[StagePlan]) -> str:
    for state in (StageState.CANNOT_RUN, StageState.NOT_KNOWN):
        for stage in stages:
            if stage.state is state and (said := next((cause.remedy for cause in stage.causes if cause.remedy), "")):
                return said
    return ""


def _cost(planning: Planning, stages: Sequence[StagePlan]) -> Cost | None:
    stale = [stage for stage in stages if stage.state in (StageState.STALE, StageState.RESTORABLE)]
    if not stale:
        return None
    run = [stage for stage in stale if stage.state == StageState.STALE]
    return Cost(
        download_bytes=planning.missing_bytes(stale),
        seconds=round(sum(stage.last_duration or 0.0 for stage in run), 1),
        untimed=tuple(stage.name for stage in run if stage.last_duration is None),
    )


def show_plan(console: Console, stages: Sequence[StagePlan]) -> None:
    """Show the stages that are not up to date, all when verbose, each below those of them that it follows."""
    depths: dict[str, int] = {}
    for stage in stages:
        quiet = stage.state in (StageState.UP_TO_DATE, StageState.FROZEN)
        depth = max((depths[name] for name in stage.after if name in depths), default=0)
        branch = "  " * (depth - 1) + "└ " if depth else ""
        say = console.detail if quiet else partial(console.line, outcome=stage.state)
        say(f"{_SIGNS[stage.state]} {branch}{_line(stage)}")
        depths[stage.name] = depth + (console.verbose or not quiet)


def _line(stage: StagePlan) -> str:
    took = f", took {human_seconds(stage.last_duration)} last time" if stage.last_duration is not None else ""
    why = "; ".join(f"{cause.kind} {cause.subject} ({cause.detail})" for cause in stage.causes)
    return f"{stage.name}: {stage.state}{': ' + why if why else ''}{took if why else ''}"


def _sentence(result: PlanResult) -> str:
    counts = {state: sum(stage.state == state for stage in result.stages) for state in StageState}
    if not result.stages:
        return "the project has no stages"
    if result.is_up_to_date():
        frozen = f", {counts[StageState.FROZEN]} frozen" if counts[StageState.FROZEN] else ""
        stages = count(len(result.stages), "stage")
        return f"nothing is stale: {counts[StageState.UP_TO_DATE]} of {stages} up to date{frozen}"
    parts = [f"{counts[state]} {state}" for state in StageState if counts[state]]
    return ", ".join(parts) + _because(result) + _expectation(result.expected)


def _because(result: PlanResult) -> str:
    """Return what stages that cannot run are missing, else what is not known, each cause once."""
    for state, kinds in ((StageState.CANNOT_RUN, ("missing", "unreadable")), (StageState.NOT_KNOWN, ("not known",))):
        stages = [stage for stage in result.stages if stage.state is state]
        names = {stage.name for stage in result.stages}
        causes = [c for stage in stages for c in stage.causes if c.kind in kinds and c.subject not in names]
        said = list(dict.fromkeys(f"{cause.subject}: {cause.detail}" for cause in causes))
        if said:
            return f" ({'; '.join(said[:2])}{f' and {len(said) - 2} more' if len(said) > 2 else ''})"
    return ""


def _expectation(cost: Cost | None) -> str:
    """Return what the run will probably cost, as far as it is known."""
    if cost is None:
        return ""
    known = []
    if cost.download_bytes:
        known.append(f"{human_bytes(cost.download_bytes)} to download")
    if cost.seconds:
        known.append(f"about {human_seconds(cost.seconds)} to run")
        if cost.untimed:
            known[-1] += f" and {count(len(cost.untimed), 'stage')} never timed"
    return f"; {', '.join(known)}" if known else ""
