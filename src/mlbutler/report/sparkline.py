"""A number's past at a glance: as a line of block characters, and as a small SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from mlbutler.escape import escape_invisible
from mlbutler.report.model import Trend

_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDTH, _HEIGHT, _MARGIN = 300, 64, 8
_OLD, _NEW = "#7a8594", "#1f6feb"


def blocks(values: Sequence[float], most: int = 20) -> str:
    """Return the last `most` values as block characters between their least and their greatest: ``▁▃▅█``."""
    shown = list(values)[-most:]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    if low == high:
        return _BLOCKS[3] * len(shown)
    # halved, for the difference of two large floats may be infinite
    return "".join(_BLOCKS[min(7, int((v / 2 - low / 2) / (high / 2 - low / 2) * 8))] for v in shown)


def draw(trend: Trend) -> str:
    """Return an ``<svg>`` element of the past as a line and the number now as a dot.

    Each point has its label as a tooltip.
    """
    numbers = [*trend.past, *(() if trend.now is None else (trend.now,))]
    low, high = min(numbers), max(numbers)

    def y(value: float) -> float:
        share = 0.5 if low == high else (value / 2 - low / 2) / (high / 2 - low / 2)
        return _HEIGHT - _MARGIN - share * (_HEIGHT - 2 * _MARGIN)

    step = (_WIDTH - 2 * _MARGIN) / max(len(numbers) - 1, 1)
    places = [(_MARGIN + index * step, y(value)) for index, value in enumerate(numbers)]
    past = places[: len(trend.past)]
    line = " ".join(f"{x:.1f},{at:.1f}" for x, at in past)
    parts = [f'<polyline class="old" points="{line}" fill="none" stroke="{_OLD}" stroke-width="1.5"/>']
    parts += [
        f'<circle class="old" cx="{x:.1f}" cy="{at:.1f}" r="2.5" fill="{_OLD}" stroke="{_OLD}">'
        f"<title>{_text(label)}</title></circle>"
        for (x, at), label in zip(past, trend.labels, strict=True)
    ]
    if trend.now is not None:
        x, at = places[-1]
        parts.append(
            f'<line class="new" x1="{past[-1][0]:.1f}" y1="{past[-1][1]:.1f}" x2="{x:.1f}" y2="{at:.1f}" '
            f'stroke="{_NEW}" stroke-width="1.5" stroke-dasharray="3 3"/>'
            f'<circle class="new" cx="{x:.1f}" cy="{at:.1f}" r="4" fill="{_NEW}" stroke="{_NEW}">'
            f"<title>this change: {trend.now:.5g}</title></circle>"
        )
    label = f"{trend.name}: {len(trend.past)} values from {min(trend.past):.5g} to {max(trend.past):.5g}"
    now = "" if trend.now is None else f", now {trend.now:.5g}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" class="chart" role="img" aria-label="{_text(label + now)}">{"".join(parts)}</svg>'
    )


def _text(text: str) -> str:
    return escape(escape_invisible(text, 120), quote=True)
