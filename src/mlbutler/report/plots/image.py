"""Pictures: those of both sides, and where they differ."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from mlbutler import numbers
from mlbutler.record import PlotChange, Scalar
from mlbutler.report.plots.figure import DATA_URI, EmbeddedImage, Figure, File, picture_file
from mlbutler.report.plots.image_difference import difference


def summary(plot: PlotChange, precision: int) -> tuple[str, str, str]:
    """Return what it shows, and whether each side has it."""
    return "image", "shown" if plot.old else numbers.ABSENT, "shown" if plot.new else numbers.ABSENT


def figure(plot: PlotChange) -> Figure:
    """Return both pictures and their difference."""
    title = plot.title or plot.file
    if plot.changed is False and plot.new:
        same = _image("Both sides", plot.new, plot.reason)
        return Figure(title, "The same on both sides.", False, images=(same,))
    images = (_image("Target", plot.old, plot.reason), _image("This change", plot.new, plot.reason))
    third, note = _difference(images[0].source, images[1].source)
    return Figure(title, note, plot.changed, images=(*images, *third))


def pictures(plot: PlotChange) -> tuple[File, ...]:
    """Return both pictures as files."""
    return tuple(_picture(plot, side, item) for side, item in (("target", plot.old), ("this change", plot.new)))


def _picture(plot: PlotChange, side: str, item: tuple[tuple[object, ...], ...]) -> File:
    if not item or not item[0]:
        return File("", side, problem=plot.reason or "there is none on this side")
    match = DATA_URI.fullmatch(str(item[0][0]))
    if match is None:
        return File("", side, problem="it is not an embedded image")
    try:
        return picture_file(base64.b64decode(match["content"], validate=True), match["kind"], side)
    except binascii.Error:
        return File("", side, problem="it is a broken image")


def _image(side: str, item: Sequence[Sequence[Scalar]], reason: str) -> EmbeddedImage:
    """Return the picture, or a note that it is missing: a browser would only draw a broken one."""
    if not item or not item[0]:
        return EmbeddedImage(side, "", reason or "There is none on this side.")
    source = str(item[0][0])
    if not DATA_URI.fullmatch(source):
        return EmbeddedImage(side, "", "This picture cannot be shown: it is not an embedded image.")
    return EmbeddedImage(side, source, "")


def _difference(old: str, new: str) -> tuple[tuple[EmbeddedImage, ...], str]:
    """Return the difference of two pictures as a third, and a remark on it to stand beside the title."""
    sides = [DATA_URI.fullmatch(source) for source in (old, new)]
    if sides[0] is None or sides[1] is None:
        return (), ""
    try:
        found = difference(*(base64.b64decode(side["content"], validate=True) for side in sides if side))
    except binascii.Error:
        return (), ""
    if found is None or found.problem:
        return (), found.problem if found is not None else ""
    return (EmbeddedImage("Difference", found.source, ""),), f"{numbers.share(found.share, 1)} of the pixels differ"
