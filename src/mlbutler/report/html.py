"""The report as one HTML file: no network, no script, light and dark, fit for print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlbutler.record import PlotChange, Record, Scalar
from mlbutler.record_file import dumps
from mlbutler.report import numbers, sparkline, svg
from mlbutler.report.build import build
from mlbutler.report.differences import diagonal
from mlbutler.report.escape import visible, web_address
from mlbutler.report.pictures import DATA_URI
from mlbutler.settings import Report as Settings

_TEXT_LIMIT = 2000
_MOST_LABELS = 40
_HEAT_LEVELS = 9
_UNFOLDED = ("params", "plots")  # a page has the room that a comment has not


@dataclass(frozen=True)
class Heatmap:
    """A confusion matrix of one side: rows of (label, ((count, level 0 to 9, on the diagonal), ...))."""

    side: str
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
    """A plot as the template shows it."""

    title: str
    note: str
    changed: bool
    chart: Any = ""
    heatmaps: tuple[Heatmap, ...] = ()
    images: tuple[Image, ...] = ()
    problem: str = ""


def render(record: Record, settings: Settings) -> str:
    """The whole report as a self-contained document, with the record in it as JSON."""
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
    environment.filters["figure"] = _figure
    environment.filters["sparkline"] = lambda trend: Markup(sparkline.draw(trend))
    environment.filters["picture"] = lambda source: source if DATA_URI.fullmatch(source) else ""
    return environment.get_template("report.html").render(
        report=build(record, settings),
        record_json=Markup(_script_safe(dumps(record))),
        number=numbers.count,
        unfolded=_UNFOLDED,
    )


def _script_safe(text: str) -> str:
    """JSON whose text cannot end the element it stands in, nor begin another."""
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _figure(plot: PlotChange) -> Figure:
    from markupsafe import Markup

    title = plot.title or plot.file
    if plot.kind == "linear":
        chart = Markup(svg.line_chart(plot))
        problem = "" if chart else plot.reason or "It has no point that can be drawn."
        return Figure(title, _thinned(plot), plot.changed, chart=chart, problem=problem)
    if plot.kind == "confusion":
        sides = (("Target", plot.old), ("This change", plot.new))
        if _labels(plot) is None:
            problem = f"It has more than {_MOST_LABELS} classes: too many for a table."
            return Figure(title, "", plot.changed, problem=problem)
        maps = tuple(_heatmap(side, counts, _labels(plot) or ()) for side, counts in sides if counts)
        return Figure(title, plot.reason, plot.changed, heatmaps=maps, problem="" if maps else "It is empty.")
    if plot.kind == "image":
        if not plot.changed and plot.new:
            return Figure(
                title, "The same on both sides.", False, images=(_image("Both sides", plot.new, plot.reason),)
            )
        images = (_image("Target", plot.old, plot.reason), _image("This change", plot.new, plot.reason))
        return Figure(title, "", plot.changed, images=images)
    return Figure(title, "", True, problem=plot.reason or "This kind of plot cannot be drawn here.")


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


def _heatmap(side: str, counts: Sequence[Sequence[Scalar]], labels: tuple[str, ...]) -> Heatmap:
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
    return Heatmap(side, diagonal(tuple(tuple(c) for c in counts)), labels, tuple(rows))
