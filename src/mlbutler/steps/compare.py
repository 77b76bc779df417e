"""Compare the work tree with the merge base, and judge the gates."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mlbutler.compare.comparison import Comparison, compare, conclude
from mlbutler.errors import MlbutlerError
from mlbutler.record import CompareResult, GateResult, MetricChange, Outcome, PredictionChange, RepeatResult
from mlbutler.steps.example_pictures import picture
from mlbutler.steps.judge import judged, tables
from mlbutler.steps.past import past_of
from mlbutler.steps.repeat import Wish, repeated
from mlbutler.steps.work import Work


def run(work: Work, wish: Wish | None = None) -> CompareResult:
    """Compare; with no merge base the new numbers stand alone, and only absolute limits are judged.

    Args:
        wish: repeats asked for on the command line.

    Raises:
        MlbutlerError: repeated runs or waivers could not be had; what was compared until then is its `partial` result.
    """
    gates = work.settings.gate
    goals = {gate.metric: gate.goal for gate in gates if gate.metric is not None and gate.goal is not None}
    base = work.record.change.base
    declared = work.settings.predictions
    old, new = work.project.snapshots(base, work.prefix, tables(work.settings))
    comparison = compare(old, new, goals, declared, lambda path: picture(work, path))
    history, unread = past_of(work, comparison.metrics, goals)
    compared = CompareResult(
        outcome=Outcome.ERROR,
        reason="",
        old_rev=base or "",
        metrics=comparison.metrics,
        params=comparison.params,
        plots=comparison.plots,
        data=comparison.data,
        predictions=comparison.predictions,
        history=history,
        not_judged=(*comparison.not_judged, *unread),
    )
    try:
        repeats = repeated(work, comparison.metrics, wish)
        comparison = dataclasses.replace(comparison, metrics=_with_repeats(comparison.metrics, repeats))
        results, remarks = judged(work, old, new, comparison, repeats)
    except MlbutlerError as error:
        error.partial = dataclasses.replace(compared, reason=error.message)
        raise
    verdict, sentence = conclude(comparison, results)
    failed = any(gate.outcome == "failed" for gate in results)
    notes = [*comparison.not_judged, *unread, *remarks]
    if base is None:
        notes.insert(0, ("the whole", "there is no merge base with a target branch to compare with"))
    if not work.console.quiet:
        _show(work, comparison, repeats, results)
    remedy = "Improve the result, or change the gate or waive it in a reviewed commit on the target branch."
    return dataclasses.replace(
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


def _with_repeats(metrics: Sequence[MetricChange], repeats: Sequence[RepeatResult]) -> tuple[MetricChange, ...]:
    """A metric that was measured repeatedly has the verdict of that, not of one run."""
    found = {result.metric: result for result in repeats if result.new}
    return tuple(
        dataclasses.replace(metric, verdict=result.verdict, reason=result.reason)
        if (result := found.get(metric.key)) is not None
        else metric
        for metric in metrics
    )


def _told(change: PredictionChange) -> str:
    """A predictions file in a line."""
    if not change.examples:
        return change.reason
    worse = [f"{part.column} = {part.value}" for part in change.slices if part.worse]
    slices = f"; worse where {', '.join(worse[:3])}" if worse else ""
    p = f" (p = {change.p:.2g})" if change.p is not None else ""
    return f"{change.broken:,} right -> wrong, {change.mended:,} wrong -> right{p}: {change.verdict}{slices}"


def _show(
    work: Work, comparison: Comparison, repeats: Sequence[RepeatResult], gates: tuple[GateResult, ...]
) -> None:
    from rich.console import Console as Terminal
    from rich.table import Table
    from rich.text import Text

    def cell(value: object) -> Text:
        text = work.console.redactor.hide("" if value is None else str(value))
        return Text("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)[:300])

    terminal = Terminal(file=work.console.stream)
    table = Table("metric", "target", "here", "difference", "verdict")
    for metric in comparison.metrics[:50]:
        shown = "" if metric.difference is None else f"{metric.difference:+.5g}"
        table.add_row(*(cell(item) for item in (metric.key, metric.old, metric.new, shown, metric.verdict)))
    if comparison.metrics:
        terminal.print(table)
    if len(comparison.metrics) > 50:
        terminal.print(cell(f"{len(comparison.metrics) - 50} more metrics are in the report"))
    for change in comparison.predictions:
        terminal.print(cell(f"{change.file}: {_told(change)}"))
    for repeat in repeats:
        if repeat.difference is not None:
            interval = f"{repeat.low:+.5g} to {repeat.high:+.5g} ({100 * repeat.confidence:.4g} %)"
            said = f"{repeat.difference:+.5g} on average of {len(repeat.seeds)} seeds, {interval}: {repeat.verdict}"
            terminal.print(cell(f"{repeat.metric}: {said}"))
    for gate in gates:
        waiver = f" ({gate.waiver})" if gate.waiver else ""
        terminal.print(cell(f"gate {gate.outcome}: {gate.sentence}{waiver}"))
