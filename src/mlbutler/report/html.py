"""The report as one HTML file: no network, light and dark, fit for print.

Everything can be read where scripts are forbidden. Where they run, tables are sorted by a click and charts explored;
the page's policy names the two scripts by their hashes, so that no other one runs.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

from mlbutler.record import PlotChange, Record, Scalar
from mlbutler.record_file import dumps
from mlbutler.report import inline_svg, numbers, sparkline, svg, vega
from mlbutler.report.build import build
from mlbutler.report.differences import diagonal
from mlbutler.report.escape import visible, web_address
from mlbutler.report.image_difference import difference
from mlbutler.report.model import Picture
from mlbutler.report.pictures import DATA_URI
from mlbutler.settings import Report as Settings

_TEXT_LIMIT = 2000
_MOST_LABELS = 40
_MOST_ROWS = 5000  # of a table; a browser lays out that many in a second
_HEAT_LEVELS = 9
_UNFOLDED = ("params", "plots")  # a page has the room that a comment has not


@dataclass(frozen=True)
class Heatmap:
    """A confusion matrix of one side: rows of (label, ((count, level 0 to 9, on the diagonal), ...)).

    `axes`: what its rows and columns are, '' when that is not known.
    """

    side: str
    axes: str
    share: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, int, bool], ...]], ...]


@dataclass(frozen=True)
class Image:
    """A picture of one side: a checked data URI, or the reason why there is none."""

    side: str
    source: str
    problem: str


@dataclass(frozen=True)
class Figure:
    """A plot as the template shows it.

    `drawing`, else `source`: a template's chart as an element or a picture; `specification`: what to make it
    interactive from.
    """

    title: str
    note: str
    changed: bool | None
    chart: Any = ""
    heatmaps: tuple[Heatmap, ...] = ()
    images: tuple[Image, ...] = ()
    problem: str = ""
    drawing: Any = ""
    source: str = ""
    specification: Any = ""


def render(record: Record, settings: Settings, document: str | None = None) -> str:
    """The whole report as a self-contained document, with the record in it as JSON.

    Args:
        document: the record as JSON, where the caller has it.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("mlbutler.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = lambda text: visible(str(text), _TEXT_LIMIT)
    environment.filters["address"] = web_address
    environment.filters["kind"] = lambda block: type(block).__name__.lower()
    report = build(record, settings)
    plots = [b.plot for section in report.sections for b in section.blocks if isinstance(b, Picture)]
    charts, library = vega.draw_with_library([p for p in plots if p.specification])
    environment.filters["figure"] = lambda plot: _figure(plot, charts)
    environment.filters["sparkline"] = lambda trend: Markup(sparkline.draw(trend))
    environment.filters["picture"] = lambda source: source if DATA_URI.fullmatch(source) else ""
    scripts = tuple(text for text in (library, _own_script()) if text)
    return environment.get_template("report.html").render(
        report=report,
        scripts=tuple(Markup(text) for text in scripts),
        hashes=" ".join(f"'sha256-{_digest(text)}'" for text in scripts),
        record_json=Markup(_script_safe(dumps(record) if document is None else document)),
        number=numbers.count,
        most_rows=_MOST_ROWS,
        unfolded=_UNFOLDED,
    )


@cache
def _own_script() -> str:
    return files("mlbutler.report").joinpath("templates/report.js").read_text(encoding="utf-8")


def _digest(script: str) -> str:
    """What a page's policy calls a script by."""
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def _script_safe(text: str) -> str:
    """JSON whose text cannot end the element it stands in, nor begin another."""
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _figure(plot: PlotChange, charts: Mapping[str, vega.Drawn]) -> Figure:
    from markupsafe import Markup

    title = plot.title or plot.file
    drawn = charts.get(plot.specification)
    if drawn is not None and drawn.problem:
        said = f"Its template gave no picture: {drawn.problem}"
        return replace(_figure(replace(plot, specification=""), {}), problem=said)
    if drawn is not None:
        prefix = "chart-" + hashlib.sha256(f"{plot.group}\n{plot.specification}".encode()).hexdigest()[:12]
        label = f"{visible(title, _TEXT_LIMIT)}: target and this change in one chart"
        drawing = Markup(inline_svg.element(drawn.svg, label, prefix))
        picture = "data:image/svg+xml;base64," + base64.b64encode(drawn.svg.encode("utf-8")).decode("ascii")
        chart = "" if plot.own_template else Markup(_script_safe(plot.specification))
        source = "" if drawing else picture
        return Figure(title, plot.reason, plot.changed, drawing=drawing, source=source, specification=chart)
    if plot.kind == "linear":
        chart = Markup(svg.line_chart(plot))
        problem = "" if chart else plot.reason or "It has no point that can be drawn."
        return Figure(title, _thinned(plot), plot.changed, chart=chart, problem=problem)
    if plot.kind == "confusion":
        sides = (("Target", plot.old), ("This change", plot.new))
        if _labels(plot) is None:
            problem = f"It has more than {_MOST_LABELS} classes: too many for a table."
            return Figure(title, "", plot.changed, problem=problem)
        axes = f"Rows: {plot.y}, columns: {plot.x}. " if plot.x and plot.y else ""
        maps = tuple(_heatmap(side, axes, counts, _labels(plot) or ()) for side, counts in sides if counts)
        return Figure(title, plot.reason, plot.changed, heatmaps=maps, problem="" if maps else "It is empty.")
    if plot.kind == "image":
        if plot.changed is False and plot.new:
            return Figure(
                title, "The same on both sides.", False, images=(_image("Both sides", plot.new, plot.reason),)
            )
        images = (_image("Target", plot.old, plot.reason), _image("This change", plot.new, plot.reason))
        third, note = _difference(images[0].source, images[1].source)
        return Figure(title, note, plot.changed, images=(*images, *third))
    known = None if plot.changed is None else True  # what cannot be drawn is never called the same
    return Figure(title, "", known, problem=plot.reason or "This kind of plot cannot be drawn here.")


def _thinned(plot: PlotChange) -> str:
    thinned = [
        f"{numbers.count(total, 'point')} in {side}, {len(points):,} drawn"
        for side, points, total in (("target", plot.old, plot.old_total), ("this change", plot.new, plot.new_total))
        if total > len(points)
    ]
    return "; ".join(filter(None, (*thinned, plot.reason)))


def _image(side: str, item: Sequence[Sequence[Scalar]], reason: str) -> Image:
    """A picture that cannot be shown is said to be missing: a browser would only draw a broken one."""
    if not item or not item[0]:
        return Image(side, "", reason or "There is none on this side.")
    source = str(item[0][0])
    if not DATA_URI.fullmatch(source):
        return Image(side, "", "This picture cannot be shown: it is not an embedded image.")
    return Image(side, source, "")


def _difference(old: str, new: str) -> tuple[tuple[Image, ...], str]:
    """The difference of two pictures as a third, and what to say of it beside the title."""
    sides = [DATA_URI.fullmatch(source) for source in (old, new)]
    if sides[0] is None or sides[1] is None:
        return (), ""
    try:
        found = difference(*(base64.b64decode(side["content"], validate=True) for side in sides if side))
    except binascii.Error:
        return (), ""
    if found is None or found.problem:
        return (), found.problem if found is not None else ""
    return (Image("Difference", found.source, ""),), f"{found.share:.1%} of the pixels differ"


def _labels(plot: PlotChange) -> tuple[str, ...] | None:
    names = {str(label) for counts in (plot.old, plot.new) for count in counts for label in count[:2]}
    if len(names) > _MOST_LABELS:
        return None
    return tuple(sorted(names, key=lambda name: (_as_number(name), name)))


def _as_number(text: str) -> float:
    try:
        number = numbers.as_float(float(text))
    except ValueError:
        number = None
    return float("inf") if number is None else number


def _heatmap(side: str, axes: str, counts: Sequence[Sequence[Scalar]], labels: tuple[str, ...]) -> Heatmap:
    by_pair: dict[tuple[str, str], float] = {}
    for count in counts:
        if len(count) == 3 and (amount := numbers.as_float(count[2])) is not None:
            pair = str(count[0]), str(count[1])
            by_pair[pair] = by_pair.get(pair, 0.0) + amount
    rows = []
    for row in labels:
        total = sum(max(by_pair.get((row, column), 0.0), 0.0) for column in labels)
        cells = []
        for column in labels:
            amount = by_pair.get((row, column), 0.0)
            share = amount / total if total > 0 and amount > 0 else 0.0
            level = min(_HEAT_LEVELS, max(1, round(share * _HEAT_LEVELS))) if share > 0 else 0
            cells.append((f"{amount:.6g}" if amount else "·", level, row == column))
        rows.append((row, tuple(cells)))
    return Heatmap(side, axes, diagonal(tuple(tuple(c) for c in counts)), labels, tuple(rows))
