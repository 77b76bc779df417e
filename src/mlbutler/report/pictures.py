"""The plots of a report as files, for places that show pictures by an address."""

from __future__ import annotations

import base64

from mlbutler.record import PlotChange
from mlbutler.report.model import Picture, Report
from mlbutler.report.plots import vega
from mlbutler.report.plots.figure import File, picture_file
from mlbutler.report.plots.kinds import KINDS


def is_picture(plot: PlotChange) -> bool:
    """Return whether the plot is a picture, and no table, in a comment; nothing is drawn to know it."""
    return bool(plot.changed) and bool(KINDS[plot.kind].pictures or (plot.specification and vega.is_installed()))


def of_plot(plot: PlotChange) -> tuple[File, ...]:
    """Return the pictures of a plot; none for one that is a table in a report, or that did not change."""
    if not plot.changed:
        return ()
    if plot.specification and vega.is_installed():
        drawn = vega.draw([plot.specification], png=True)[plot.specification]
        return (File("", "", problem=drawn.problem) if drawn.problem else picture_file(drawn.png, "png"),)
    pictures = KINDS[plot.kind].pictures
    return pictures(plot) if pictures is not None else ()


def of_report(report: Report) -> tuple[File, ...]:
    """Return all pictures of a report that can be shown."""
    plots = [block.plot for section in report.sections for block in section.blocks if isinstance(block, Picture)]
    if vega.is_installed():  # all at once: each of them would begin a process
        vega.draw((plot.specification for plot in plots if plot.specification and plot.changed), png=True)
    return tuple(file for plot in plots for file in of_plot(plot) if file.content)


def data_uri(file: File) -> str:
    """Return the picture as an address that holds it."""
    return f"data:{file.media};base64,{base64.b64encode(file.content).decode('ascii')}"
