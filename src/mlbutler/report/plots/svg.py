"""Line charts as inline SVG: both sides in one chart, readable in print, in the dark, and without style sheets.

Colours and strokes are presentation attributes, so that the chart also stands where a server forbids
style sheets (Jenkins does by default), on a dark page too; the page's style sheet only refines them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise

from mlbutler.escape import escape_invisible
from mlbutler.frozen import frozen
from mlbutler.numbers import as_float
from mlbutler.record import PlotChange, Scalar


@frozen
class Size:
    """How large a chart is, what is kept free at its sides for words, and how many ticks each axis has, about."""

    width: int
    height: int
    left: int
    right: int
    top: int = 34
    bottom: int = 46
    x_ticks: int = 8
    y_ticks: int = 5

    @property
    def floor(self) -> int:
        """Return where the x axis is."""
        return self.height - self.bottom


COMMENT = Size(640, 300, 68, 28)
PAGE, PHONE = Size(760, 320, 68, 28), Size(360, 270, 56, 16, x_ticks=4)
"""A page shows a chart as wide as its card: one that is drawn for a phone has words that can be read there."""
_INK, _GRID, _OLD, _NEW = "currentColor", "#d8dde3", "#7a8594", "#1f6feb"
_SIDES = (("old", _OLD, "5 4", "target"), ("new", _NEW, "", "this change"))
_DARK = "#1f2328"
_DOTS_UP_TO = 40
_LABEL_LIMIT = 60
_LARGEST = 1e300

Point = tuple[float, float]
Segments = list[list[Point]]


def line_chart(plot: PlotChange, size: Size = COMMENT) -> str:
    """Return an ``<svg>`` element that shows `old` and `new` of a linear plot, '' without a point to draw.

    Points that are no finite numbers interrupt the line. An x that is no number is numbered through. Where
    x goes back and forth (a scatter plot) the points are not joined.
    """
    positions = _positions(plot)
    sides = {name: _segments(points, positions) for name, points in (("old", plot.old), ("new", plot.new))}
    everything = [point for segments in sides.values() for segment in segments for point in segment]
    if not everything:
        return ""
    xs, ys = _scale([p[0] for p in everything]), _scale([p[1] for p in everything], margin=0.06)
    place_x = _linear_map(xs, size.left, size.width - size.right)
    place_y = _linear_map(ys, size.floor, size.top)
    names = None if positions is None else list(positions)
    parts = [*_y_axis(size, ys, place_y), *_x_axis(size, xs, place_x, names), *_names(size, plot)]
    same = plot.old == plot.new
    shown = (("new", _NEW, "", "target and this change alike"),) if same else _SIDES
    at = float(size.left)
    for side, colour, dash, said in shown:
        said = said if sides[side] else f"{said} (none)"
        parts += [
            *_legend(at, side, colour, dash, said),
            *_draw_line(sides[side], side, colour, dash, place_x, place_y),
        ]
        at += 130
    label = _text(f"{plot.title or plot.file}: {plot.y or 'value'} by {plot.x or 'step'}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size.width} {size.height}" width="{size.width}" '
        f'height="{size.height}" '
        f'class="chart" role="img" aria-label="{label}" font-family="system-ui, sans-serif" font-size="12">'
        + "".join(parts)
        + "</svg>"
    )


def on_white(chart: str) -> str:
    """Return the chart with a white ground, for a place that shows it as a picture, on a page of any colour."""
    head, end, rest = chart.partition(">")
    return f'{head} color="{_DARK}"{end}<rect width="100%" height="100%" rx="6" fill="#ffffff"/>{rest}' if chart else ""


def _text(text: str) -> str:
    return escape(escape_invisible(text, _LABEL_LIMIT), quote=True)


def _positions(plot: PlotChange) -> dict[Scalar, int] | None:
    """Return a position for each x when they are not all numbers: in order of first appearance."""
    xs = [point[0] for points in (plot.old, plot.new) for point in points if len(point) >= 2]
    if all(as_float(x) is not None for x in xs):
        return None
    return {x: i for i, x in enumerate(dict.fromkeys(xs))}


def _segments(points: Sequence[Sequence[Scalar]], positions: dict[Scalar, int] | None) -> Segments:
    segments: Segments = [[]]
    for point in points:
        if len(point) < 2:
            continue
        x = as_float(point[0]) if positions is None else float(positions[point[0]])
        y = as_float(point[1])
        if x is None or y is None:
            segments.append([])
        else:
            segments[-1].append((_clamp(x), _clamp(y)))
    return [segment for segment in segments if segment]


def _clamp(number: float) -> float:
    return max(-_LARGEST, min(_LARGEST, number))


def _scale(values: Sequence[float], margin: float = 0.0) -> tuple[float, float]:
    low, high = min(values), max(values)
    if low == high:
        around = abs(low) * 0.1 or 1.0
        return low - around, high + around
    around = (high - low) * margin
    return low - around, high + around


def _linear_map(scale: tuple[float, float], start: float, end: float) -> Callable[[float], float]:
    low, high = scale
    return lambda number: start + (number - low) / (high - low) * (end - start)


def ticks(low: float, high: float, wanted: int) -> list[float]:
    """Return about `wanted` round numbers between `low` and `high` (steps of 1, 2 or 5 times a power of ten)."""
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 0.0
    if power == 0.0:  # a range too narrow for a float
        return [low, high]
    return min(
        (_multiples_between(low, high, power * factor) for factor in (1, 2, 5, 10)),
        key=lambda found: _count_ratio(found, wanted),
    )


def _multiples_between(low: float, high: float, step: float) -> list[float]:
    first = math.ceil(low / step)  # 0 where the quotient is too small for a float
    return [(first + i) * step for i in range(int((high - low) / step) + 3) if low <= (first + i) * step <= high]


def _count_ratio(found: Sequence[float], wanted: int) -> float:
    """Return by which factor there are too many, or too few."""
    return max(len(found) / wanted, wanted / max(len(found), 0.1))


def _tick_text(number: float, step: float) -> str:
    if number and (abs(number) >= 1e6 or abs(number) < 1e-4):
        return f"{number:.3g}"
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 3
    return f"{0.0 if abs(number) < step / 1e6 else number:.{min(digits, 8)}f}"


def _y_axis(size: Size, ys: tuple[float, float], place: Callable[[float], float]) -> list[str]:
    parts = []
    found = ticks(*ys, size.y_ticks)
    for number in found:
        y = place(number)
        parts.append(_rule(size.left, y, size.width - size.right, y, _GRID, "grid"))
        parts.append(_label(size.left - 8, y + 4, "end", _tick_text(number, _step(found))))
    return parts


def _x_axis(
    size: Size, xs: tuple[float, float], place: Callable[[float], float], names: list[Scalar] | None
) -> list[str]:
    parts = []
    found = ticks(*xs, size.x_ticks)
    for number in found:
        if names is None:
            text = _tick_text(number, _step(found))
        elif number == int(number) and 0 <= int(number) < len(names):
            text = _text(str(names[int(number)])[:12])
        else:
            continue
        x = place(number)
        parts.append(_rule(x, size.floor, x, size.floor + 5, _INK, "axis"))
        parts.append(_label(x, size.floor + 18, "middle", text))
    parts.append(_rule(size.left, size.floor, size.width - size.right, size.floor, _INK, "axis"))
    return parts


def _step(found: Sequence[float]) -> float:
    return found[1] - found[0] if len(found) > 1 else 1.0


def _rule(x1: float, y1: float, x2: float, y2: float, colour: str, kind: str) -> str:
    return (
        f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke="{colour}" stroke-width="1"/>'
    )


def _label(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text class="label" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{_INK}">{text}</text>'


def _names(size: Size, plot: PlotChange) -> list[str]:
    middle = (size.top + size.floor) / 2
    upright = (
        f'<text class="label" transform="translate(14 {middle:.0f}) rotate(-90)" text-anchor="middle" '
        f'fill="{_INK}">{_text(plot.y or "value")}</text>'
    )
    below = _label((size.left + size.width - size.right) / 2, size.height - 8, "middle", _text(plot.x or "step"))
    return [upright, below]


def _legend(x: float, side: str, colour: str, dash: str, said: str) -> list[str]:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return [
        f'<line class="{side}" x1="{x:.0f}" y1="14" x2="{x + 28:.0f}" y2="14" stroke="{colour}" '
        f'stroke-width="2"{dashed}/>',
        _label(x + 34, 18, "start", said),
    ]


def _draw_line(
    segments: Segments,
    side: str,
    colour: str,
    dash: str,
    place_x: Callable[[float], float],
    place_y: Callable[[float], float],
) -> list[str]:
    parts = []
    points = [point for segment in segments for point in segment]
    forward = all(a[0] <= b[0] for segment in segments for a, b in pairwise(segment))
    if forward:
        for segment in segments:
            path = " ".join(f"{place_x(x):.1f},{place_y(y):.1f}" for x, y in segment)
            dashed = f' stroke-dasharray="{dash}"' if dash else ""
            parts.append(
                f'<polyline class="{side}" points="{path}" fill="none" stroke="{colour}" '
                f'stroke-width="2" stroke-linejoin="round"{dashed}/>'
            )
    if not forward or len(points) <= _DOTS_UP_TO:
        parts += [
            f'<circle class="{side}" cx="{place_x(x):.1f}" cy="{place_y(y):.1f}" r="2.5" '
            f'stroke="{colour}" fill="{colour}"/>'
            for x, y in points
        ]
    return parts
