"""The kinds of plots and what a report makes of each.

A new kind is a value of `PlotKind`, a function in `comparison/plots.py` and a module here; the type checker names each
place that has been forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import assert_never

from mlbutler.frozen import frozen
from mlbutler.record import PlotChange, PlotKind
from mlbutler.report.plots import confusion, image, linear, unsupported
from mlbutler.report.plots.figure import Figure, File


@frozen
class PlotRenderer:
    """What a report makes of one kind of plot.

    Attributes:
        summary: what the plot shows, and one telling number of each side, to a precision.
        figure: the plot on a page.
        pictures: the plot as files; None for one that is a table.
    """

    summary: Callable[[PlotChange, int], tuple[str, str, str]]
    figure: Callable[[PlotChange], Figure]
    pictures: Callable[[PlotChange], tuple[File, ...]] | None = None


def _kind(kind: PlotKind) -> PlotRenderer:
    match kind:
        case PlotKind.LINEAR:
            return PlotRenderer(linear.summary, linear.figure, linear.pictures)
        case PlotKind.CONFUSION:
            return PlotRenderer(confusion.summary, confusion.figure)
        case PlotKind.IMAGE:
            return PlotRenderer(image.summary, image.figure, image.pictures)
        case PlotKind.UNSUPPORTED:
            return PlotRenderer(unsupported.summary, unsupported.figure)
        case _:
            assert_never(kind)


KINDS: Mapping[PlotKind, PlotRenderer] = {kind: _kind(kind) for kind in PlotKind}
