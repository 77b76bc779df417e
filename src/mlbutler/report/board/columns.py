"""Which metrics and params are columns, in which order, and what stands above them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from mlbutler.comparison.metrics import guess_goal
from mlbutler.record import Scalar
from mlbutler.report.board.model import BoardColumn, BoardRow

MOST = 300
"""Metrics, and params, of the page; those that differ between experiments go first."""


def columns(rows: Sequence[BoardRow], goals: Mapping[str, str]) -> tuple[tuple[BoardColumn, ...], int]:
    """Return the columns, metrics first, and how many are left out.

    Args:
        goals: ``file:name`` or name -> ``maximize`` or ``minimize``, before what names tell.
    """
    metrics = _order_keys([row.metrics for row in rows])
    params = _order_keys([row.params for row in rows])
    kept = [(key, True) for key in metrics[:MOST]] + [(key, False) for key in params[:MOST]]
    names = Counter(_name(key) for key, _ in kept)
    found = tuple(
        BoardColumn(key, _name(key) if names[_name(key)] == 1 else key, metric, _goal(key, goals) if metric else None)
        for key, metric in kept
    )
    return found, len(metrics) + len(params) - len(found)


def main_column(columns: Sequence[BoardColumn], gates: Sequence[str]) -> str:
    """Return the key of the metric that counts most: the first gate's, else the first that has a direction."""
    metrics = [column for column in columns if column.metric]
    gated = (column.key for name in gates for column in metrics if name in (column.key, _name(column.key)))
    directed = (column.key for column in metrics if column.goal is not None)
    return next(gated, None) or next(directed, None) or next((column.key for column in metrics), "")


def _order_keys(values: Sequence[Mapping[str, Scalar]]) -> list[str]:
    """Return all keys in the order in which the newest experiments have them; those that never differ last."""
    seen: dict[str, Scalar] = {}
    differs: dict[str, None] = {}
    for one in values:
        for key, value in one.items():
            if key not in seen:
                seen[key] = value
            elif seen[key] != value:
                differs[key] = None
    keys = [key for key in seen if key in differs]
    return keys + [key for key in seen if key not in differs]


def _name(key: str) -> str:
    return key.partition(":")[2]


def _goal(key: str, goals: Mapping[str, str]) -> str | None:
    return goals.get(key) or goals.get(_name(key)) or guess_goal(_name(key))
