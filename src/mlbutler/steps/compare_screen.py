"""The comparison on a terminal."""

from __future__ import annotations

from mlbutler import numbers
from mlbutler.console import Console
from mlbutler.project.param_causes import texts_differ
from mlbutler.record import CompareResult, PredictionChange, StageDefinitionChange
from mlbutler.report import origins
from mlbutler.report.metrics import table
from mlbutler.report.model import Table
from mlbutler.report.screen import Screen
from mlbutler.settings import ReportSettings as Settings

_ROWS, _LINES = 50, 20


def show_comparison(console: Console, result: CompareResult, settings: Settings) -> None:
    """Print metrics as the report's table; params, data, code, predictions, repeats and gates a line each."""
    screen = Screen(console)
    metrics, hidden = table(result, settings)
    if metrics.rows:
        # Gates have lines of their own here, which name the limit.
        shown = (row[:-1] for row in metrics.rows[:_ROWS])
        screen.table(Table("", metrics.columns[:-1], tuple(shown)), whole=("Difference", "Verdict"))
    if len(metrics.rows) > _ROWS:
        screen.line(f"{len(metrics.rows) - _ROWS:,} more metrics are in the report")
    if hidden:
        screen.line(f"{numbers.count(hidden, 'unchanged metric')} not shown")
    if metrics.rows:
        for paragraph in origins.paragraphs(result):
            screen.line("".join(span.text for span in paragraph.line), paragraph.tone)
    for line in (*_changes(result), *_judgements(result)):
        screen.line(line)


def _changes(result: CompareResult) -> list[str]:
    """Return lines on what differs besides metrics, the first few of each kind."""
    params = [
        f"param {p.name}: {p.old or '-'} → {p.new or '-'}" + (f" (read by {', '.join(p.stages)})" if p.stages else "")
        for p in result.params
    ]
    data = [f"data {d.path}: {d.kind}" for d in result.data]
    hidden = [
        f"warning: {change.path} changed; stage '{stage}' does not declare it ({why})"
        for change in result.code
        for stage, why in change.undeclared
    ]
    stages = [line for change in result.stages for line in _describe_stage_change(change)]
    lines = []
    for kind, found in (("params", params), ("changes of stages", stages), ("data", data), ("warnings", hidden)):
        lines += found[:_LINES]
        if len(found) > _LINES:
            lines.append(f"{len(found) - _LINES} more {kind} are in the report")
    return lines


def _describe_stage_change(change: StageDefinitionChange) -> list[str]:
    """Return a line for each thing that a stage's definition in dvc.yaml lost or gained."""
    if change.kind in ("added", "removed"):
        return [f"stage {change.stage}: {change.kind}"]
    lines = [f"stage {change.stage}: was {change.old_name}"] if change.old_name else []
    for part in change.parts:
        warning = "warning: " if part in change.lost_inputs() or (part.part == "frozen" and part.new) else ""
        value = part.name or (texts_differ(part.old or "-", part.new or "-") if part.part != "frozen" else "")
        lines.append(f"{warning}stage {change.stage}: {part.part} {part.kind}{': ' + value if value else ''}")
    return lines


def _judgements(result: CompareResult) -> list[str]:
    lines = [f"{change.file}: {_prediction_line(change)}" for change in result.predictions]
    for repeat in result.repeats:
        if repeat.difference is not None:
            mean, low, high = (
                numbers.rounded(number, repeat.noise, signed=True)
                for number in (repeat.difference, repeat.low, repeat.high)
            )
            interval = f"{low} to {high} ({100 * repeat.confidence:.4g} %)"
            said = f"{mean} on average of {len(repeat.seeds)} seeds, {interval}: {repeat.verdict}"
            lines.append(f"{repeat.metric}: {said}")
    for gate in result.gates:
        waiver = f" ({gate.waiver})" if gate.waiver else ""
        lines.append(f"gate {gate.outcome}: {gate.sentence}{waiver}")
    return lines


def _prediction_line(change: PredictionChange) -> str:
    """Return one line on a predictions file."""
    if not change.examples:
        return change.reason
    worse = [f"{part.column} = {part.value}" for part in change.slices if part.worse]
    slices = f"; worse where {', '.join(worse[:3])}" if worse else ""
    p = f", {numbers.in_words(change.p, change.alpha)}" if change.p is not None else ""
    return f"{change.broken:,} right → wrong, {change.fixed:,} wrong → right{p}: {change.verdict}{slices}"
