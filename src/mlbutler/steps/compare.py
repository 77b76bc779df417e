"""Compare the work tree with the merge base, and judge the gates."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

from mlbutler.compare.comparison import compare, conclude, without_left_over
from mlbutler.compare.snapshot import Snapshot
from mlbutler.errors import MlbutlerError
from mlbutler.record import CodeChange, CompareResult, MetricChange, Outcome, PlotChange, RepeatResult
from mlbutler.steps.compare_screen import show
from mlbutler.steps.example_pictures import picture
from mlbutler.steps.judge import judged, tables
from mlbutler.steps.past import past_of
from mlbutler.steps.repeat import Wish, repeated
from mlbutler.steps.settled import left_over
from mlbutler.steps.work import Work


def run(work: Work, wish: Wish | None = None) -> CompareResult:
    """Compare; with no merge base the new numbers stand alone, and only absolute limits are judged.

    Args:
        wish: repeats asked for on the command line.

    Raises:
        MlbutlerError: metrics or params are on a remote that does not answer; repeated runs or waivers could not be
            had. What was compared until then is its `partial` result.
    """
    gates = work.settings.gate
    goals = {gate.metric: gate.goal for gate in gates if gate.metric is not None and gate.goal is not None}
    base = work.record.change.base
    declared = work.settings.predictions
    old, new = work.project.snapshots(base, work.prefix, tables(work.settings))

    def charts(plots: tuple[PlotChange, ...]) -> tuple[PlotChange, ...]:
        from mlbutler.project.vega import with_specifications

        return with_specifications(work.root, plots, old, new)

    comparison = compare(old, new, goals, declared, lambda path: picture(work, path), charts)
    stale = left_over(work)
    comparison = without_left_over(comparison, stale)
    history, unread = past_of(work, comparison.metrics, goals)
    code, unseen = _code(work, base, _compared(old) | _compared(new))
    compared = CompareResult(
        outcome=Outcome.ERROR,
        reason="",
        old_rev=base or "",
        metrics=comparison.metrics,
        params=comparison.params,
        code=code,
        plots=comparison.plots,
        data=comparison.data,
        predictions=comparison.predictions,
        history=history,
        not_judged=(*comparison.not_judged, *unread, *unseen),
    )
    if (trouble := _unread(work, old, new)) is not None:
        trouble.partial = dataclasses.replace(compared, reason=trouble.message)
        raise trouble
    try:
        repeats = repeated(work, comparison.metrics, wish)
        comparison = dataclasses.replace(comparison, metrics=_with_repeats(comparison.metrics, repeats))
        results, remarks = judged(work, old, new, comparison, repeats, stale)
    except MlbutlerError as error:
        error.partial = dataclasses.replace(compared, reason=error.message)
        raise
    verdict, sentence = conclude(comparison, results)
    failed = any(gate.outcome == "failed" for gate in results)
    notes = [*comparison.not_judged, *unread, *unseen, *remarks]
    if base is None:
        notes.insert(0, ("the whole", "there is no merge base with a target branch to compare with"))
    remedy = "Improve the result, or change the gate or waive it in a reviewed commit on the target branch."
    done = dataclasses.replace(
        compared,
        outcome=Outcome.FAILED if failed else Outcome.PASSED,
        reason=sentence,
        remedy=remedy if failed else "",
        metrics=comparison.metrics,
        repeats=repeats,
        gates=results,
        verdict=verdict,
        sentence=sentence,
        not_judged=tuple(notes),
    )
    if not work.console.quiet:
        show(work.console, done, work.settings.report)
    return done


def _unread(work: Work, old: Snapshot, new: Snapshot) -> MlbutlerError | None:
    """The remote's error, where metrics or params could not be read for it: nothing is judged without them."""
    from mlbutler.project.side import UNASKED

    sources = (source for side in (old, new) for part in (side.metrics, side.params) for source in part.values())
    unread = any(source.content is None and source.problem.startswith(UNASKED) for source in sources)
    return work.project.objects.problem if unread else None


def _compared(side: Snapshot) -> set[str]:
    """Files that are compared as metrics, params or plots, whichever way the project declares them."""
    return {*side.metrics, *side.params, *side.plot_data}


def _code(
    work: Work, base: str | None, compared: Collection[str]
) -> tuple[tuple[CodeChange, ...], tuple[tuple[str, str], ...]]:
    """The changed files; it judges nothing, so that no error in it stops anything.

    Args:
        compared: paths that are no code, unless a stage uses them.
    """
    from mlbutler.project.code import code_changes

    if base is None:
        return (), ()
    try:
        changes = code_changes(work.project, work.git, work.prefix, base)
    except MlbutlerError as error:
        return (), (("changed code", error.message),)
    return tuple(c for c in changes if c.stages or c.undeclared or c.path not in compared), ()


def _with_repeats(metrics: Sequence[MetricChange], repeats: Sequence[RepeatResult]) -> tuple[MetricChange, ...]:
    """A metric that was measured repeatedly has the verdict of that, not of one run."""
    found = {result.metric: result for result in repeats if result.new}
    return tuple(
        dataclasses.replace(metric, verdict=result.verdict, reason=result.reason)
        if (result := found.get(metric.key)) is not None
        else metric
        for metric in metrics
    )
