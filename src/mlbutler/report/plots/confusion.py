"""Confusion matrices: a table of counts for each side."""

from __future__ import annotations

from collections.abc import Sequence

from mlbutler import numbers
from mlbutler.record import PlotChange, Scalar
from mlbutler.report.plots.figure import Figure, Heatmap

_MOST_LABELS = 40
_HEAT_LEVELS = 9


def summary(plot: PlotChange, precision: int) -> tuple[str, str, str]:
    """Return what it shows, and the share on the diagonal of each side."""
    return "share on the diagonal", diagonal(plot.old), diagonal(plot.new)


def figure(plot: PlotChange) -> Figure:
    """Return both sides as tables, or why there are none."""
    title = plot.title or plot.file
    sides = (("Target", plot.old), ("This change", plot.new))
    labels = _labels(plot)
    if labels is None:
        problem = f"It has more than {_MOST_LABELS} classes: too many for a table."
        return Figure(title, "", plot.changed, problem=problem)
    axes = f"Rows: {plot.y}, columns: {plot.x}. " if plot.x and plot.y else ""
    maps = tuple(_heatmap(side, axes, counts, labels) for side, counts in sides if counts)
    return Figure(title, plot.reason, plot.changed, heatmaps=maps, problem="" if maps else "It is empty.")


def diagonal(counts: tuple[tuple[Scalar, ...], ...]) -> str:
    """Return the share of a confusion matrix that was classified correctly; a dash when it is empty."""
    cells = [(c[0] == c[1], numbers.as_float(c[2]) or 0.0) for c in counts if len(c) == 3]
    total = sum(n for _, n in cells)
    if total <= 0 or not numbers.is_finite(total):
        return numbers.ABSENT
    return numbers.share(sum(n for right, n in cells if right) / total, 1)


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
