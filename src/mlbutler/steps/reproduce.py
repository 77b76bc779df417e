"""The reproduce step: running stale stages through DVC, in an environment without credentials."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlbutler.console import Console, human_seconds
from mlbutler.errors import Interrupted, MlbutlerError, PathRefused, UnsavedWork, UsageError
from mlbutler.first_few import first_few
from mlbutler.process import output_redactor
from mlbutler.project.left_by_stages import LeftByStages
from mlbutler.project.stale_again import stale_again
from mlbutler.project.times import write_times
from mlbutler.record import Outcome, PlanResult, ReproduceResult, StageRun, StageState
from mlbutler.reproduce import loop
from mlbutler.reproduce.progress import Writer, writing
from mlbutler.reproduce.runner import Reproduction, Runner, Surroundings, command_to_repeat, result_of_unrun_stage
from mlbutler.reproduce.stage_log import RELATIVE, StageLog
from mlbutler.secrets import Redactor
from mlbutler.steps import sync
from mlbutler.steps.context import RunContext
from mlbutler.steps.given_variables import given_environment
from mlbutler.steps.isolated import Isolated, isolate_code
from mlbutler.steps.sending import keep_in_mirror

if TYPE_CHECKING:
    from mlbutler.project.project import Project

_SHOWN = 3
_WELL = ("ran", "restored", "unchanged")
_TO_RUN = (StageState.STALE, StageState.RESTORABLE)
_WORTH_KEEPING = 10.0  # seconds of work that may be lost


def run(context: RunContext, failed: Collection[str] = ()) -> ReproduceResult:
    """Run what the plan calls stale. Stages that cannot run, or of which that is not known, are left as they are.

    A failed stage stops those that depend on it. Finished stages are in dvc.lock and the cache; the failed one's
    outputs that Git keeps are put back as they were. A stage whose inputs changed while it ran has failed.

    Args:
        failed: names of stages that failed on another agent of this build: not run again.

    Raises:
        UsageError: nothing was planned. PathRefused, UnsavedWork: an output must not be replaced; nothing was run.
        Interrupted: a signal asked mlbutler to stop; all processes have ended. BusyError: another DVC process is
            running here. ProjectError: DVC cannot read the project. DiskFull, OutsideError.
            What was done before an error is its `partial` result.
    """
    plan = _decide_plan(context)
    if isinstance(plan, ReproduceResult):
        return plan
    _check(context.project, plan)
    settled = loop.results_commits(context.git)
    redactor, ours = output_redactor(context.environ), given_environment(context)
    head, stale = context.record.change.checkout, len(plan.stale())
    before = context.project.hashes.unchanged_paths()
    with (
        StageLog(context.root) as log,
        writing(context.root, head, stale, redactor) as progress,
        isolate_code(context) as here,
    ):
        surroundings = _surroundings(context, ours.environ, redactor, log, progress, here)
        runner = Runner(plan.stages, surroundings, failed)
        try:
            done = runner.run()
        except MlbutlerError as error:
            error.partial = _result(runner.result, Outcome.ERROR, error.message)
            raise
        finally:
            _remember(context, runner.result)
    changed = _find_changed_inputs(context, done, before)
    if done.interrupted:
        where = "; ".join(done.problems) or "before the first stage"
        stop = Interrupted(f"Interrupted {where}.", "Run again: finished stages are kept.")
        stop.partial = _result(done, Outcome.INTERRUPTED, stop.message)
        raise stop
    result = _with_unrun_stages(plan, _judge_reproduction(done, context.settings.reproduce.timeout))
    result = _with_changed_inputs(context.console, result, [path for path in changed if path not in done.moved])
    result = _with_stale_again(context.project, result)
    result = dataclasses.replace(result, held_back=ours.held_back, isolation=here.words)
    lines = [line for run in done.runs.values() if run.outcome == "failed" for line in run.tail]
    if lines and not done.timed_out:
        hints = filter(None, (result.remedy, ours.hint, here.hint(lines)))
        result = dataclasses.replace(result, remedy=" ".join(hints))
    return dataclasses.replace(result, **loop.verdict(context.git, settled, plan, done.changed, result.reason))


def _surroundings(
    context: RunContext, environ: Mapping[str, str], redactor: Redactor, log: StageLog, progress: Writer,
    here: Isolated,
) -> Surroundings:  # fmt: skip
    """Return what the runner is given: where stages run, and what is called when they begin and end."""
    outputs = OutputGuard(context.project)

    def heading(title: str) -> None:
        title = redactor.hide(title)
        context.console.heading(title)
        log.line(f"== {title}")

    def line(text: str) -> None:
        context.console.raw(text + "\n")
        log.line(text)

    def mark_started(name: str) -> None:
        outputs.mark_started(name)
        progress.mark_started(name)

    def mark_ended(run: StageRun) -> None:
        outputs.mark_ended(run)
        progress.mark_ended(run)

    return Surroundings(
        root=context.root,
        git=context.git,
        environ=environ,
        redactor=redactor,
        heading=heading,
        on_line=line,
        refused=outputs.refusal,
        started=mark_started,
        stopped=outputs.mark_stopped,
        ended=mark_ended,
        finished=Keeper(context),
        **_run_cache(context.project),
        bring=lambda paths: sync.supply(context, paths),
        isolation=here.prefix,
        visible=here.visible,
        timeout=context.settings.reproduce.timeout,
    )


def _decide_plan(context: RunContext) -> PlanResult | ReproduceResult:
    """Return the plan when there is something in it to run, else the result that says why nothing is run."""
    from mlbutler.reproduce.when import decide_run

    plan = context.record.plan
    decision = decide_run(context.settings.reproduce, context.record.change, not context.options.pipeline)
    if not decision.run:
        return ReproduceResult(outcome=Outcome.SKIPPED, reason=decision.reason)
    if plan is None or plan.outcome is Outcome.ERROR:
        raise UsageError("The stages have not been planned.", "Run 'mlbutler plan' first, or 'mlbutler run'.")
    if not plan.stages:
        return ReproduceResult(outcome=Outcome.SKIPPED, reason=plan.reason or "the project has no stages")
    return plan if plan.stale() else _result_without_runs(plan)


def _run_cache(project: Project) -> dict[str, Any]:
    """Return how the runner uses DVC's run cache: on a CI server without entries that project code may have written."""
    runs = project.planning.build_runs
    if runs is None:
        return {}
    return {"runs": runs.worker_view, "made": lambda entries: runs.add_entries(entries, project.cache_dir)}


def _with_stale_again(project: Project, result: ReproduceResult) -> ReproduceResult:
    """Check at once whether a stage that ran would run again, as it would in every later build."""
    ran = {stage.name for stage in result.stages if stage.outcome == "ran"}
    if not ran:
        return result
    project.reload()
    again = stale_again(project.planning.plan_locally(), ran)
    if not again:
        return result
    named = first_few([f"{found.subject} ({found.problem})" for found in again], _SHOWN, "; ")
    return dataclasses.replace(
        result,
        reason=f"{result.reason}; stale again as soon as it ran: {named}",
        remedy=result.remedy or again[0].remedy,
        stale_again=again,
    )


def _with_changed_inputs(console: Console, result: ReproduceResult, changed: Sequence[str]) -> ReproduceResult:
    """Say, in the result too, which files a stage changed that it was only to read."""
    if not changed:
        return result
    said = f"a stage changed in place what it was given to read: {', '.join(changed[:3])}"
    console.line(f"Note: {said}. Write into a copy, or declare it as an output with persist: true.")
    return dataclasses.replace(result, reason=f"{result.reason}; {said}")


def _check(project: Project, plan: PlanResult) -> None:
    try:
        project.checkout.check_running([stage.name for stage in plan.stages if stage.state in _TO_RUN])
    except UnsavedWork as error:
        error.partial = ReproduceResult(outcome=Outcome.FAILED, reason=error.message, unsaved=error.paths)
        raise


class OutputGuard:
    """Track the stages' outputs: which files a run may replace, and which stage left them."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._stages = {stage.name: stage for stage in project.stages.pipeline()}
        self._left = LeftByStages(project.root)

    def refusal(self, name: str) -> str:
        """Return why a stage may not run, '' when it may: its outputs may have been changed since the run began."""
        try:
            self._project.checkout.check_running([name])
        except (PathRefused, UnsavedWork) as error:
            return error.message
        return ""

    def mark_started(self, name: str) -> None:
        """Record that a stage is about to run."""
        self._left.note_start(self._stages[name])

    def mark_stopped(self, name: str) -> None:
        """Record that a stage was stopped before its end."""
        self._left.note_end(self._stages[name], well=False)

    def mark_ended(self, run: StageRun) -> None:
        """Record that a stage has ended."""
        self._left.note_end(self._stages[run.name], well=run.outcome in _WELL)


class Keeper:
    """Put what finished stages made into the mirror while others still run: an agent can be lost at any time.

    Not after each of many quick stages: finding out what the mirror is missing takes time itself.
    """

    def __init__(self, context: RunContext) -> None:
        self._context, self._unkept = context, 0.0
        self._ran: set[str] = set()

    def __call__(self, run: StageRun) -> None:
        """Handle one finished stage."""
        if run.outcome == "ran":
            self._ran.add(run.name)
            self._unkept += run.duration
        if self._unkept < _WORTH_KEEPING:
            return
        self._unkept = 0.0
        try:
            keep_in_mirror(self._context, self._ran)
        except MlbutlerError as error:  # the step `push` tries again, and says what is wrong
            self._context.console.detail(f"Not kept in the mirror yet: {error.message}")


def _remember(context: RunContext, done: Reproduction) -> None:
    """Store how long completed stages took, for the plans and gates of later builds."""
    times = {run.name: round(run.duration, 3) for run in done.runs.values() if run.outcome == "ran"}
    if times:
        mirror = context.mirror if context.trusted else None
        write_times(context.root, mirror, context.record.change.repository, context.prefix, times)


def _find_changed_inputs(context: RunContext, done: Reproduction, before: Collection[str]) -> tuple[str, ...]:
    from mlbutler.remotes.opening import open_cache, open_mirror
    from mlbutler.reproduce.inputs import find_changed_inputs

    mirror = open_mirror(context.mirror if context.trusted else None, context.project, trusted=context.trusted)
    stores = [open_cache(context.project), *([mirror] if mirror is not None else [])]
    ran = {run.name for run in done.runs.values() if run.outcome not in ("unchanged", "not reached")}
    return find_changed_inputs(context.project, before, ran, stores)


def _result_without_runs(plan: PlanResult) -> ReproduceResult:
    count = len(plan.stages)
    reason = "nothing to run"
    if plan.is_up_to_date():
        reason += ": the only stage is up to date" if count == 1 else f": all {count} stages are up to date"
    stages = tuple(result_of_unrun_stage(stage) for stage in plan.stages)
    return _with_unrun_stages(plan, ReproduceResult(outcome=Outcome.PASSED, reason=reason, stages=stages))


def _with_unrun_stages(plan: PlanResult, result: ReproduceResult) -> ReproduceResult:
    """Return the result, not passed where the plan has stages that could not be run."""
    cannot = [stage.name for stage in plan.stages if stage.state is StageState.CANNOT_RUN]
    unknown = [stage.name for stage in plan.stages if stage.state is StageState.NOT_KNOWN]
    said = [f"{words}: {first_few(names)}"
            for words, names in (("cannot run", cannot), ("not known whether to run", unknown)) if names]  # fmt: skip
    if not said:
        return result
    outcome = result.outcome
    if outcome is Outcome.PASSED:
        outcome = Outcome.FAILED if cannot else Outcome.NOT_KNOWN
    return dataclasses.replace(
        result, outcome=outcome, reason="; ".join([result.reason, *said]), remedy=result.remedy or plan.remedy
    )


def _judge_reproduction(done: Reproduction, timeout: float | None) -> ReproduceResult:
    if not done.problems and not done.timed_out:
        return _result(done, Outcome.PASSED, _counts(done))
    reason = "; ".join(done.problems) or f"timed out after {human_seconds(timeout or 0)}, before the first stage"
    rest = _counts(done, but=("failed",))
    failed = next((run.name for run in done.runs.values() if run.outcome == "failed"), None)
    remedy = "Raise timeout under [reproduce] in mlbutler.toml." if done.timed_out else ""
    if done.moved:
        remedy = (
            "Run again, and edit nothing meanwhile. If the stage itself writes there: let it write into a copy or "
            "elsewhere, or name the file in .dvcignore."
        )
    if not remedy and failed is not None:
        remedy = f"Read {RELATIVE}; {command_to_repeat(failed)} runs the stage by hand."
    return _result(done, Outcome.FAILED, f"{reason} ({rest})" if rest else reason, remedy)


def _result(done: Reproduction, outcome: Outcome, reason: str, remedy: str = "") -> ReproduceResult:
    put_back = sorted(set(done.put_back))
    if put_back and outcome is Outcome.FAILED:
        reason = f"{reason}; put back as it was: {first_few(put_back)}"
    return ReproduceResult(
        outcome=outcome, reason=reason, remedy=remedy, stages=tuple(done.runs.values()), log=RELATIVE
    )


def _counts(done: Reproduction, but: tuple[str, ...] = ()) -> str:
    parts = []
    for outcome in ("ran", "restored", "unchanged", "failed", "interrupted", "not reached"):
        count = sum(run.outcome == outcome for run in done.runs.values())
        if count and outcome not in but:
            parts.append(f"{count} {outcome}")
    total = len(done.runs)
    return f"{total} stage{'s' if total != 1 else ''}: {', '.join(parts)}" if parts else ""
