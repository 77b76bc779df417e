"""Compare the work tree with the merge base, and judge the gates."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from mlbutler.comparison.comparison import Comparison, compare_snapshots, conclude, reason_for, without_stale_outputs
from mlbutler.comparison.documents import read_document
from mlbutler.comparison.history import with_noise
from mlbutler.comparison.snapshot import Snapshot, Source
from mlbutler.console import Console
from mlbutler.errors import MlbutlerError
from mlbutler.numbers import count
from mlbutler.record import (
    Change,
    CodeChange,
    CompareResult,
    EarlierBuild,
    MetricChange,
    MetricHistory,
    Origin,
    Outcome,
    PlotChange,
    RepeatResult,
    Verdict,
)
from mlbutler.settings import ReportSettings
from mlbutler.steps.compare_screen import show_comparison
from mlbutler.steps.context import RunContext
from mlbutler.steps.example_pictures import picture
from mlbutler.steps.judge import judge_change, tables
from mlbutler.steps.logged_runs import LoggedRuns, with_logged_runs
from mlbutler.steps.metric_history import metric_histories_of
from mlbutler.steps.repeat import RepeatOptions, repeat_measurements
from mlbutler.steps.stale_outputs import stale_outputs

if TYPE_CHECKING:
    from mlbutler.project.project import Project


def run(context: RunContext, asked: RepeatOptions | None = None) -> CompareResult:
    """Compare; without a merge base only the new numbers are shown, and only absolute limits are judged.

    What cannot be read on one side has no verdict; where that is nearly everything, the result is *not known*.

    Args:
        asked: repeats asked for on the command line.

    Raises:
        MlbutlerError: DVC cannot open the project; repeated runs or waivers could not be had. What was compared until
            then is its `partial` result.
    """
    base = context.record.change.base
    logged = with_logged_runs(
        context, *context.project.snapshots.read_snapshots(base, context.prefix, tables(context.settings))
    )
    old, new = logged.old, logged.new
    goals = {
        gate.metric: gate.goal for gate in context.settings.gate if gate.metric is not None and gate.goal is not None
    }
    comparison = _compare(context, old, new, goals)
    stale = stale_outputs(context, new)
    doubtful = {**_find_unfetched(new.metrics, old.metrics), **stale}
    comparison = without_stale_outputs(comparison, doubtful)
    history, no_past = metric_histories_of(context, comparison.metrics, goals)
    comparison = dataclasses.replace(comparison, metrics=with_noise(comparison.metrics, history))
    compared = _build_partial_result(context, logged, comparison, history, no_past)
    try:
        repeats = repeat_measurements(context, comparison.metrics, asked)
        comparison = dataclasses.replace(comparison, metrics=_with_repeats(comparison.metrics, repeats))
        results, remarks = judge_change(context, old, new, comparison, repeats, doubtful)
    except MlbutlerError as error:
        error.partial = dataclasses.replace(compared, reason=error.message)
        raise
    verdict, sentence = conclude(comparison, results)
    notes = [*compared.not_judged, *remarks]
    if said := _target_note(context.record.change):
        notes.insert(0, ("the whole", said))
        context.console.line(f"Note: {said}.")
        if base is None and not any(gate.outcome in ("failed", "waived", "warned") for gate in results):
            sentence = f"Not judged: {said}."
    done = dataclasses.replace(
        compared,
        outcome=Outcome.PASSED,
        reason=sentence,
        metrics=comparison.metrics,
        repeats=repeats,
        gates=results,
        verdict=verdict,
        sentence=sentence,
        not_judged=tuple(notes),
    )
    done = _with_outcome(context.project, done, old, new, stale)
    _show(context.console, done, context.record.change, context.settings.report)
    return done


def _compare(context: RunContext, old: Snapshot, new: Snapshot, goals: Mapping[str, str]) -> Comparison:
    """Return the differences, with pictures and with charts by DVC's templates."""

    def charts(plots: tuple[PlotChange, ...]) -> tuple[PlotChange, ...]:
        from mlbutler.project.vega import with_specifications

        return with_specifications(context.root, plots, old, new)

    return compare_snapshots(
        old, new, goals, context.settings.predictions, lambda path: picture(context.project, path), charts
    )


def _build_partial_result(
    context: RunContext, logged: LoggedRuns, comparison: Comparison, history: tuple[MetricHistory, ...],
    no_past: Sequence[tuple[str, str]],
) -> CompareResult:  # fmt: skip
    """Return what was compared, with the origin of the numbers and the changed code: it stands if judging fails."""
    base, old, new = context.record.change.base, logged.old, logged.new
    in_files = [metric for metric in comparison.metrics if metric.file not in logged.files]
    old_origins, new_origins, build = _origins(context, in_files, base)
    code, unseen = _code(context, base, _compared_files(old) | _compared_files(new))
    return CompareResult(
        outcome=Outcome.ERROR,
        reason="",
        old_rev=base or "",
        metrics=comparison.metrics,
        params=comparison.params,
        code=code,
        stages=comparison.stages,
        plots=comparison.plots,
        data=comparison.data,
        predictions=comparison.predictions,
        history=history,
        not_judged=(*comparison.not_judged, *no_past, *unseen, *logged.notes),
        runs=logged.runs,
        old_origins=old_origins,
        new_origins=new_origins,
        earlier=build,
        old_problem=old.problem,
        new_problem=new.problem,
    )


def _show(console: Console, done: CompareResult, change: Change, settings: ReportSettings) -> None:
    if console.quiet:
        return
    if edited := change.uncommitted_count:
        console.line(f"Compared is {change.head[:8]} and {count(edited, 'uncommitted file')}")
    show_comparison(console, done, settings)


def _target_note(change: Change) -> str:
    """Return that there is nothing to compare with, or that this is the target branch, and what to do; else ''."""
    if change.on_target and change.kind == "local":
        name = change.target_branch or "the target branch"
        against = "it has no commit before this one to compare with"
        if change.base is not None:
            which = "its last commit" if change.base == change.head else "the commit before"
            against = f"compared with {which}, {change.base[:10]}"
        return f"this is {name}, the target branch itself: {against}; work on a branch, or name one with --against REV"
    return "" if change.base is not None else "there is no merge base with a target branch to compare with"


def _with_outcome(
    project: Project, result: CompareResult, old: Snapshot, new: Snapshot, stale: Mapping[str, str]
) -> CompareResult:
    """Return the result with its outcome: failed for a broken gate, else not known where sides are unreadable.

    Args:
        stale: outputs here of stages that did not run, and why: they are not judged, readable or not.
    """
    if failed := [gate for gate in result.gates if gate.outcome == "failed"]:
        remedy = "Improve the result, or change the gate or waive it in a reviewed commit on the target branch."
        if all(gate.new is None for gate in failed):
            remedy = "Correct the name in [[gate]], or let a stage write that number."
        return dataclasses.replace(result, outcome=Outcome.FAILED, remedy=remedy)
    trouble = project.objects.problem
    pairs = ((old.metrics, new.metrics), (old.params, new.params))
    unasked = any(_find_unfetched(one, other) or _find_unfetched(other, one) for one, other in pairs)
    if trouble is not None and unasked:
        reason = f"what the remote alone has could not be compared: {trouble.message}"
        return dataclasses.replace(result, outcome=Outcome.NOT_KNOWN, reason=reason, remedy=trouble.remedy)
    unread = _unread(new, stale), _unread(old, stale)
    if _has_no_verdict(result, old, new, any(unread)):
        where, problem = ("the target", old.problem) if old.problem else ("this change", new.problem)
        reason, remedy = f"{where} could not be compared: {problem}", _REMEDIES[where]
        if not problem:
            reason, remedy = _first_unread(project, *unread)
        return dataclasses.replace(result, outcome=Outcome.NOT_KNOWN, reason=reason, remedy=remedy)
    return result


_REMEDIES = {
    "the target": "Fix that file on the target branch (`dvc repro` or `dvc commit` writes dvc.lock again), or name "
    "another commit with --against.",
    "this change": "Fix that file; `dvc repro` or `dvc commit` writes dvc.lock again.",
}


def _first_unread(project: Project, here: Mapping[str, str], target: Mapping[str, str]) -> tuple[str, str]:
    """Return why the first metrics file that could not be read was not, and the remedy."""
    from mlbutler.project import overlooked

    path, problem = next(iter((here or target).items()))
    ignored = overlooked.find_overlooked_files(project.root, project.stages, [path] if here else []).get(path)
    if ignored:
        return f"{path} of this change could not be read: {problem}", overlooked.remedy(ignored)
    where = "this change" if here else "the target"
    return f"{path} of {where} could not be read: {problem}", _UNREAD_REMEDIES[where]


def _unread(side: Snapshot, stale: Mapping[str, str]) -> dict[str, str]:
    """Return the metrics files whose numbers could not be read, and why; those not judged in any case are left."""
    found = {path: read_document(path, source) for path, source in side.metrics.items() if not reason_for(path, stale)}
    return {path: document.problem for path, document in found.items() if not document.known}


_UNREAD_REMEDIES = {
    "the target": "Fix that file on the target branch (`dvc push` where it was made, if no store has it), or name "
    "another commit with --against.",
    "this change": "Fix that file; `dvc repro` makes it again.",
}


def _has_no_verdict(result: CompareResult, old: Snapshot, new: Snapshot, unread: bool) -> bool:
    """Return whether one side, or its metrics files, could not be read, so that no number has a verdict.

    Where no number is declared, parameters count instead.

    Args:
        unread: some metrics files could not be read.
    """
    if not old.problem and not new.problem and not unread:
        return False
    if old.metrics or new.metrics or result.predictions or result.gates:
        verdicts = [*(metric.verdict for metric in result.metrics), *(file.verdict for file in result.predictions)]
        gates = all(gate.outcome == "not judged" for gate in result.gates)
        return gates and all(verdict is Verdict.NOT_JUDGED for verdict in verdicts)
    return not any(
        source.content is not None and (other := new.params.get(path)) is not None and other.content is not None
        for path, source in old.params.items()
    )


def _find_unfetched(side: Mapping[str, Source], other: Mapping[str, Source]) -> dict[str, str]:
    """Return the files of a side that may differ from the other's and could not be fetched, and why."""
    from mlbutler.project.revision_reader import UNASKED

    return {
        path: source.problem
        for path, source in side.items()
        if source.content is None and source.problem.startswith(UNASKED)
        if path not in other or not source.is_same_as(other[path])
    }


def _origins(
    context: RunContext, metrics: Sequence[MetricChange], base: str | None
) -> tuple[tuple[Origin, ...], tuple[Origin, ...], EarlierBuild | None]:
    """Return where the numbers come from, in the target and here, and the build whose results dvc.lock records."""
    from mlbutler.steps.origins import last_build, origins

    try:
        there = [metric.file for metric in metrics if metric.old is not None or not metric.name]
        here = [metric.file for metric in metrics if metric.new is not None or not metric.name]
        return (*origins(context, there, here, base), last_build(context))
    except MlbutlerError:  # the project cannot be read: said already
        return (), (), None


def _compared_files(side: Snapshot) -> set[str]:
    """Return the files that are compared as metrics, params or plots, however the project declares them."""
    return {*side.metrics, *side.params, *side.plot_data}


def _code(
    context: RunContext, base: str | None, compared: Collection[str]
) -> tuple[tuple[CodeChange, ...], tuple[tuple[str, str], ...]]:
    """Return the changed files; an error here becomes a note, since nothing is judged by them.

    Args:
        compared: paths that do not count as code, unless a stage uses them.
    """
    from mlbutler.project.code import code_changes

    if base is None:
        return (), ()
    try:
        changes = code_changes(context.project, context.git, context.prefix, base)
    except MlbutlerError as error:
        return (), (("changed code", error.message),)
    return tuple(c for c in changes if c.stages or c.undeclared or c.path not in compared), ()


def _with_repeats(metrics: Sequence[MetricChange], repeats: Sequence[RepeatResult]) -> tuple[MetricChange, ...]:
    """Return the changes, where repeated measurements decide the verdict instead of one run."""
    found = {result.metric: result for result in repeats if result.new}
    return tuple(
        dataclasses.replace(
            metric, verdict=result.verdict, reason=result.reason, noise=result.noise, noise_by="repeats"
        )
        if (result := found.get(metric.key)) is not None
        else metric
        for metric in metrics
    )
