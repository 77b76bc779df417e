"""A plot as a page shows it, and as a file for places that show pictures by an address."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from mlbutler.frozen import frozen

DATA_URI = re.compile(r"data:image/(?P<kind>png|jpeg|gif|webp|svg\+xml|bmp);base64,(?P<content>[A-Za-z0-9+/]+={0,2})")
_ENDINGS = {"png": "png", "jpeg": "jpg", "gif": "gif", "webp": "webp", "svg+xml": "svg", "bmp": "bmp"}


@frozen
class Heatmap:
    """A confusion matrix of one side: rows of (label, ((count, level 0 to 9, on the diagonal), ...)).

    `axes`: what its rows and columns are, '' when that is not known.
    """

    side: str
    axes: str
    share: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, int, bool], ...]], ...]


@frozen
class EmbeddedImage:
    """A picture of one side: a checked data URI, or the reason why there is none."""

    side: str
    source: str
    problem: str


@frozen
class Figure:
    """A plot as the template shows it.

    `narrow`: `chart` for a phone.
    `drawing`, else `source`: a template's chart as an element or a picture; `specification`: what to make it
    interactive from.
    """

    title: str
    note: str
    changed: bool | None
    chart: Any = ""
    heatmaps: tuple[Heatmap, ...] = ()
    images: tuple[EmbeddedImage, ...] = ()
    problem: str = ""
    drawing: Any = ""
    source: str = ""
    specification: Any = ""
    narrow: Any = ""


@frozen
class File:
    """A picture. `name` follows from its content: the same picture has the same name in every build.

    `side`: what it shows of a plot, '' for all of it. `problem`: why there is none.
    """

    name: str
    side: str
    media: str = ""
    content: bytes = b""
    problem: str = ""


def picture_file(content: bytes, kind: str, side: str = "") -> File:
    """Return a picture of this kind (``png``, ``svg+xml``...) as a file."""
    digest = hashlib.sha256(content).hexdigest()[:20]
    return File(f"plot-{digest}.{_ENDINGS[kind]}", side, f"image/{kind}", content)
