"""The section on metrics that were measured by repeated runs."""

from __future__ import annotations

from mlbutler import numbers
from mlbutler.record import CompareResult, RepeatResult
from mlbutler.report.headline import VERDICT_ARROWS, VERDICT_TONES
from mlbutler.report.metrics import short_name
from mlbutler.report.model import Block, Column, Items, Line, Row, Section, Style, Table, cell, code, plain


def section(compare: CompareResult, precision: int) -> Section | None:
    """Return means, the interval on the paired difference, and what would have to be done to know more."""
    if not compare.repeats:
        return None
    measured = [result for result in compare.repeats if result.new]
    blocks: list[Block] = []
    if measured:
        names = ("Target", "This change", "Difference", "Interval")
        columns = (Column("Metric"), Column("Seeds", True), *(Column(name, True) for name in names), Column("Verdict"))
        blocks.append(
            Table("Means over seeds", columns, tuple(_row(result, compare, precision) for result in measured))
        )
    remarks = [line for result in compare.repeats for line in _remarks(result)]
    blocks.append(Items(tuple(remarks)))
    summary = f"{numbers.count(len(measured), 'metric')} measured with several seeds on both sides"
    return Section("repeats", "Repeated runs", tuple(blocks), 92, summary, folded=False)


def _row(result: RepeatResult, compare: CompareResult, precision: int) -> Row:
    tone = VERDICT_TONES[result.verdict]
    before, after = (sum(side) / len(side) for side in (result.old, result.new))
    old, new, difference = numbers.sides_and_difference(before, after, precision, result.noise)
    bounds = [numbers.rounded(bound, result.noise, signed=True) for bound in (result.low, result.high)]
    return (
        cell(short_name(result.metric, compare), style=Style.CODE),
        cell(str(len(result.seeds))),
        cell(old),
        cell(new),
        cell(difference, tone),
        cell(f"{bounds[0]} to {bounds[1]} ({100 * result.confidence:.4g} %)"),
        cell(f"{VERDICT_ARROWS[result.verdict]} {result.verdict}", tone),
    )


def _remarks(result: RepeatResult) -> list[Line]:
    lines: list[Line] = []
    if result.reason:
        lines.append((code(result.metric), plain(f": {result.reason}.")))
    if result.more:
        said = f": about {result.more} more seeds would tell such a difference from none, with a chance of 80 %."
        lines.append((code(result.metric), plain(said)))
    if result.new:
        stages = ", ".join(result.stages)
        spared = f", {result.restored} of them restored from the run cache" if result.restored else ""
        seeds = ", ".join(map(str, result.seeds[:12])) + (", ..." if len(result.seeds) > 12 else "")
        said = f": {result.runs} runs of {stages}{spared}; seeds {seeds} in {', '.join(result.params)}."
        lines.append((code(result.metric), plain(said)))
    return lines
