"""Plots that we cannot draw: the reason, and a chart where DVC's template is drawn."""

from __future__ import annotations

from mlbutler import numbers
from mlbutler.record import PlotChange
from mlbutler.report.plots import vega
from mlbutler.report.plots.figure import Figure


def summary(plot: PlotChange, precision: int) -> tuple[str, str, str]:
    """Return what is shown in place of it."""
    shows = "chart" if plot.specification and vega.is_installed() else "cannot be drawn"
    return plot.reason or shows, numbers.ABSENT, numbers.ABSENT


def figure(plot: PlotChange) -> Figure:
    """Return why there is none."""
    problem = plot.reason or "This kind of plot cannot be drawn here."
    known = None if plot.changed is None else True  # what cannot be drawn is never called the same
    return Figure(plot.title or plot.file, "", known, problem=problem)
