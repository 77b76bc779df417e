"""Curves: a line chart."""

from __future__ import annotations

from mlbutler import numbers
from mlbutler.record import PlotChange, Scalar
from mlbutler.report.plots import svg
from mlbutler.report.plots.figure import Figure, File, picture_file


def summary(plot: PlotChange, precision: int) -> tuple[str, str, str]:
    """Return what it shows, and the last value of each side."""
    pair = numbers.pair(_last(plot.old), _last(plot.new), precision)
    return f"last {plot.y or 'value'}", *pair


def figure(plot: PlotChange) -> Figure:
    """Return the chart, or why there is none."""
    from markupsafe import Markup

    wide, narrow = (Markup(svg.line_chart(plot, size)) for size in (svg.PAGE, svg.PHONE))
    problem = "" if wide else plot.reason or "It has no point that can be drawn."
    return Figure(plot.title or plot.file, _note(plot), plot.changed, chart=wide, narrow=narrow, problem=problem)


def pictures(plot: PlotChange) -> tuple[File, ...]:
    """Return the chart as a file."""
    chart = svg.on_white(svg.line_chart(plot))
    if not chart:
        return (File("", "", problem=plot.reason or "it has no point that can be drawn"),)
    return (picture_file(chart.encode("utf-8"), "svg+xml"),)


def _last(points: tuple[tuple[Scalar, ...], ...]) -> Scalar:
    return points[-1][1] if points and len(points[-1]) > 1 else None


def _note(plot: PlotChange) -> str:
    thinned = [
        f"{numbers.count(total, 'point')} in {side}, {len(points):,} drawn"
        for side, points, total in (("target", plot.old, plot.old_total), ("this change", plot.new, plot.new_total))
        if total > len(points)
    ]
    return "; ".join(filter(None, (*thinned, plot.reason)))
