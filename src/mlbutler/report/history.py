"""The section on what metrics were before: is this difference usual, or out of the ordinary."""

from __future__ import annotations

from collections.abc import Sequence

from mlbutler import numbers
from mlbutler.record import CompareResult, MetricChange, MetricHistory
from mlbutler.report.metrics import short_name
from mlbutler.report.model import Cell, Column, Row, Section, Style, Table, Tone, Trend, Trends, cell
from mlbutler.report.sparkline import blocks

_MOST_CHARTS = 12


def section(compare: CompareResult, precision: int) -> Section | None:
    """Return each metric's past beside its number now; None when nothing was measured twice."""
    now = {metric.key: metric for metric in compare.metrics}
    told = [(history, past) for history in compare.history if len(past := finite(history)) > 1]
    if not told:
        return None
    columns = (Column("Metric"), Column("Past"), Column("Lowest", True), Column("Highest", True),
               Column("Now", True), Column("Among them"))  # fmt: skip
    rows = tuple(
        _row(short_name(history.key, compare), history, [v for _, v in past], now.get(history.key), precision)
        for history, past in told
    )
    trends = tuple(_trend(history, past, now.get(history.key)) for history, past in told[:_MOST_CHARTS])
    most = max(len(past) for _, past in told)
    table = Table("What the metrics were in the target branch", columns, rows)
    charts = Trends("The past, oldest first; the last dot is this change", trends)
    return Section("history", "History", (table, charts), 42, numbers.count(most, "measurement"))


def finite(history: MetricHistory) -> list[tuple[str, float]]:
    """Return (when and where, value) of the values that can be drawn, oldest first."""
    return [
        (f"{value.when[:10]} {value.commit[:10]}", number)
        for value in history.values
        if not isinstance(value.value, bool) and (number := numbers.as_float(value.value)) is not None
    ]


def _row(name: str, history: MetricHistory, past: list[float], metric: MetricChange | None, precision: int) -> Row:
    now = None if metric is None or isinstance(metric.new, bool) else numbers.as_float(metric.new)
    shown = numbers.ABSENT if now is None or metric is None else numbers.value(metric.new, precision)
    return (
        cell(name, style=Style.CODE),
        cell(blocks(past)),
        cell(numbers.value(min(past), precision)),
        cell(numbers.value(max(past), precision)),
        cell(shown),
        _rank(past, now, history.goal),
    )


def _rank(past: Sequence[float], now: float | None, goal: str | None) -> Cell:
    """Say where the number now ranks among earlier ones, by the metric's direction where it has one."""
    if now is None:
        return cell(numbers.ABSENT)
    all_of = f"all {len(past)}"
    if now > max(past) or now < min(past):
        above = now > max(past)
        if goal is None:
            return cell(f"{'above' if above else 'below'} {all_of}")
        better = above == (goal == "maximize")
        return cell(f"{'better' if better else 'worse'} than {all_of}", Tone.GOOD if better else Tone.BAD)
    ahead = sum(value < now for value in past)
    if goal is None:
        return cell(f"above {ahead} of {len(past)}")
    better_than = ahead if goal == "maximize" else sum(value > now for value in past)
    return cell(f"better than {better_than} of {len(past)}")


def _trend(history: MetricHistory, past: list[tuple[str, float]], metric: MetricChange | None) -> Trend:
    labels = tuple(f"{when}: {value:.5g}" for when, value in past)
    now = None if metric is None or isinstance(metric.new, bool) else numbers.as_float(metric.new)
    return Trend(history.key, tuple(value for _, value in past), now, labels)
