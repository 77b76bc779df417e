"""Line charts as inline SVG: both sides in one chart, readable in print, in the dark, and without style sheets.

Colours and strokes are presentation attributes, so that the chart also stands where a server forbids
style sheets (Jenkins does by default), on a dark page too; the page's style sheet only refines them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise

from mlbutler.numbers import as_float
from mlbutler.record import PlotChange, Scalar
from mlbutler.report.escape import visible

WIDTH, HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 68, 28, 34, 46
_INK, _GRID, _OLD, _NEW = "currentColor", "#d8dde3", "#7a8594", "#1f6feb"
_SIDES = (("old", _OLD, "5 4", "target"), ("new", _NEW, "", "this change"))
_DARK = "#1f2328"
_DOTS_UP_TO = 40
_LABEL_LIMIT = 60
_LARGEST = 1e300

Point = tuple[float, float]
Segments = list[list[Point]]


def line_chart(plot: PlotChange) -> str:
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
    place_x = _placed(xs, _LEFT, WIDTH - _RIGHT)
    place_y = _placed(ys, HEIGHT - _BOTTOM, _TOP)
    parts = [*_axes(xs, ys, place_x, place_y, None if positions is None else list(positions)), *_names(plot)]
    same = plot.old == plot.new
    shown = (("new", _NEW, "", "target and this change alike"),) if same else _SIDES
    at = float(_LEFT)
    for side, colour, dash, said in shown:
        said = said if sides[side] else f"{said} (none)"
        parts += [*_legend(at, side, colour, dash, said), *_drawn(sides[side], side, colour, dash, place_x, place_y)]
        at += 130
    label = _text(f"{plot.title or plot.file}: {plot.y or 'value'} by {plot.x or 'step'}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'class="chart" role="img" aria-label="{label}" font-family="system-ui, sans-serif" font-size="12">'
        + "".join(parts)
        + "</svg>"
    )


def on_white(chart: str) -> str:
    """Return the chart with a white ground, for a place that shows it as a picture, on a page of any colour."""
    head, end, rest = chart.partition(">")
    return f'{head} color="{_DARK}"{end}<rect width="100%" height="100%" rx="6" fill="#ffffff"/>{rest}' if chart else ""


def _text(text: str) -> str:
    return escape(visible(text, _LABEL_LIMIT), quote=True)


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
            segments[-1].append((_bounded(x), _bounded(y)))
    return [segment for segment in segments if segment]


def _bounded(number: float) -> float:
    return max(-_LARGEST, min(_LARGEST, number))


def _scale(values: Sequence[float], margin: float = 0.0) -> tuple[float, float]:
    low, high = min(values), max(values)
    if low == high:
        around = abs(low) * 0.1 or 1.0
        return low - around, high + around
    around = (high - low) * margin
    return low - around, high + around


def _placed(scale: tuple[float, float], start: float, end: float) -> Callable[[float], float]:
    low, high = scale
    return lambda number: start + (number - low) / (high - low) * (end - start)


def ticks(low: float, high: float, wanted: int) -> list[float]:
    """Return about `wanted` round numbers between `low` and `high` (steps of 1, 2 or 5 times a power of ten)."""
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 0.0
    if power == 0.0:  # a range too narrow for a float
        return [low, high]
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first = math.ceil(low / step)
    return [(first + i) * step for i in range(wanted * 2 + 2) if (first + i) * step <= high]


def _tick_text(number: float, step: float) -> str:
    if number and (abs(number) >= 1e6 or abs(number) < 1e-4):
        return f"{number:.3g}"
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 3
    return f"{0.0 if abs(number) < step / 1e6 else number:.{min(digits, 8)}f}"


def _axes(
    xs: tuple[float, float],
    ys: tuple[float, float],
    place_x: Callable[[float], float],
    place_y: Callable[[float], float],
    names: list[Scalar] | None,
) -> list[str]:
    parts = []
    floor = HEIGHT - _BOTTOM
    y_ticks = ticks(*ys, 5)
    step = y_ticks[1] - y_ticks[0] if len(y_ticks) > 1 else 1.0
    for number in y_ticks:
        y = place_y(number)
        parts.append(_rule(_LEFT, y, WIDTH - _RIGHT, y, _GRID, "grid"))
        parts.append(_label(_LEFT - 8, y + 4, "end", _tick_text(number, step)))
    x_ticks = ticks(*xs, 8)
    step = x_ticks[1] - x_ticks[0] if len(x_ticks) > 1 else 1.0
    for number in x_ticks:
        if names is None:
            text = _tick_text(number, step)
        elif number == int(number) and 0 <= int(number) < len(names):
            text = _text(str(names[int(number)])[:12])
        else:
            continue
        x = place_x(number)
        parts.append(_rule(x, floor, x, floor + 5, _INK, "axis"))
        parts.append(_label(x, floor + 18, "middle", text))
    parts.append(_rule(_LEFT, floor, WIDTH - _RIGHT, floor, _INK, "axis"))
    return parts


def _rule(x1: float, y1: float, x2: float, y2: float, colour: str, kind: str) -> str:
    return (
        f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke="{colour}" stroke-width="1"/>'
    )


def _label(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text class="label" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{_INK}">{text}</text>'


def _names(plot: PlotChange) -> list[str]:
    middle = (_TOP + HEIGHT - _BOTTOM) / 2
    upright = (
        f'<text class="label" transform="translate(14 {middle:.0f}) rotate(-90)" text-anchor="middle" '
        f'fill="{_INK}">{_text(plot.y or "value")}</text>'
    )
    return [upright, _label((_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 8, "middle", _text(plot.x or "step"))]


def _legend(x: float, side: str, colour: str, dash: str, said: str) -> list[str]:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return [
        f'<line class="{side}" x1="{x:.0f}" y1="14" x2="{x + 28:.0f}" y2="14" stroke="{colour}" '
        f'stroke-width="2"{dashed}/>',
        _label(x + 34, 18, "start", said),
    ]


def _drawn(
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
