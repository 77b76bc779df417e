"""The plots of a report as files, for places that show pictures by an address."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from mlbutler.record import PlotChange
from mlbutler.report import svg, vega
from mlbutler.report.model import Picture, Report

DATA_URI = re.compile(r"data:image/(?P<kind>png|jpeg|gif|webp|svg\+xml|bmp);base64,(?P<content>[A-Za-z0-9+/]+={0,2})")
_ENDINGS = {"png": "png", "jpeg": "jpg", "gif": "gif", "webp": "webp", "svg+xml": "svg", "bmp": "bmp"}


@dataclass(frozen=True)
class File:
    """A picture. `name` follows from its content: the same picture has the same name in every build.

    `side`: what it shows of a plot, '' for all of it. `problem`: why there is none.
    """

    name: str
    side: str
    media: str = ""
    content: bytes = b""
    problem: str = ""


def is_picture(plot: PlotChange) -> bool:
    """Is the plot a picture, and no table, in a comment? Nothing is drawn to know it."""
    return bool(plot.changed) and (plot.kind in ("linear", "image") or bool(plot.specification and vega.is_installed()))


def of_plot(plot: PlotChange) -> tuple[File, ...]:
    """The pictures of a plot; none for one that is a table in a report, or that did not change."""
    if not plot.changed:
        return ()
    if plot.specification and vega.is_installed():
        drawn = vega.draw([plot.specification], png=True)[plot.specification]
        return (File("", "", problem=drawn.problem) if drawn.problem else _file(drawn.png, "png", ""),)
    if plot.kind == "linear":
        chart = svg.line_chart(plot)
        if not chart:
            return (File("", "", problem=plot.reason or "it has no point that can be drawn"),)
        return (_file(chart.encode("utf-8"), "svg+xml", ""),)
    if plot.kind == "image":
        return tuple(_image(plot, side, item) for side, item in (("target", plot.old), ("this change", plot.new)))
    return ()


def of_report(report: Report) -> tuple[File, ...]:
    """All pictures of a report that can be shown."""
    plots = [block.plot for section in report.sections for block in section.blocks if isinstance(block, Picture)]
    if vega.is_installed():  # all at once: each of them would begin a process
        vega.draw((plot.specification for plot in plots if plot.specification and plot.changed), png=True)
    return tuple(file for plot in plots for file in of_plot(plot) if file.content)


def _image(plot: PlotChange, side: str, item: tuple[tuple[object, ...], ...]) -> File:
    if not item or not item[0]:
        return File("", side, problem=plot.reason or "there is none on this side")
    match = DATA_URI.fullmatch(str(item[0][0]))
    if match is None:
        return File("", side, problem="it is not an embedded image")
    try:
        return _file(base64.b64decode(match["content"], validate=True), match["kind"], side)
    except binascii.Error:
        return File("", side, problem="it is a broken image")


def _file(content: bytes, kind: str, side: str) -> File:
    digest = hashlib.sha256(content).hexdigest()[:20]
    return File(f"plot-{digest}.{_ENDINGS[kind]}", side, f"image/{kind}", content)


def data_uri(file: File) -> str:
    """The picture as an address that holds it."""
    return f"data:{file.media};base64,{base64.b64encode(file.content).decode('ascii')}"
