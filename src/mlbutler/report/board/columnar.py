"""The experiments as the page reads them: column by column, each text once, which packs well."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from mlbutler.escape import escape_invisible, web_address
from mlbutler.record import Scalar
from mlbutler.report.board.model import Board, BoardColumn, BoardRow, Points, RowKind

_LONGEST = 200
_DIGITS = 6
_COMMIT = "{commit}"


class _Words:
    """Numbers texts in the order in which they come."""

    def __init__(self, first: Iterable[str] = ()) -> None:
        self._at = {text: at for at, text in enumerate(first)}

    def __call__(self, text: str) -> int:
        return self._at.setdefault(text, len(self._at))

    def all(self) -> list[str]:
        return list(self._at)


def columnar(board: Board) -> dict[str, Any]:
    """Return all that the page shows."""
    branches, authors, names = _Words(), _Words(), _Words()
    kinds = _Words(map(str, RowKind))
    at = {row.commit: index for index, row in reversed(list(enumerate(board.rows))) if row.commit}
    drawn = _Curves(board.curves)
    rows = board.rows
    return {
        "title": board.title,
        "target": _visible(board.target),
        "main": board.main,
        "columns": [
            {"key": c.key, "label": _visible(c.label), "metric": c.metric, "goal": c.goal} for c in board.columns
        ],
        "rows": {
            "kind": [kinds(str(row.kind)) for row in rows],
            "name": [_visible(row.name) for row in rows],
            "commit": [row.commit for row in rows],
            "branch": [branches(_visible(row.branch)) for row in rows],
            "pull": [row.pull for row in rows],
            "when": [row.when for row in rows],
            "author": [authors(_visible(row.author)) for row in rows],
            "state": [_visible(row.state) for row in rows],
            "baseline": [at.get(row.baseline, -1) if row.baseline != row.commit else -1 for row in rows],
            "same": [int(row.same) for row in rows],
            "links": [_links(row.links, row.commit) for row in rows],
            "curves": [_curve_indices(row, board, names, drawn) for row in rows],
        },
        "values": [_values(column, rows) for column in board.columns],
        "kinds": kinds.all(),
        "branches": branches.all(),
        "authors": authors.all(),
        "curveNames": names.all(),
        "curveLabels": short_names(names.all()),
        **drawn.data(),
    }


class _Curves:
    """Numbers curves; those with the same x share it."""

    def __init__(self, points: Mapping[str, Points]) -> None:
        self._points = points
        self._keys, self._axes = _Words(), dict[tuple[float, ...], int]()

    def __call__(self, key: str) -> int:
        return self._keys(key)

    def data(self) -> dict[str, Any]:
        """Return those that were numbered."""
        axes, ys = [], []
        for key in self._keys.all():
            x, y = self._points[key]
            axes.append(self._axes.setdefault(x, len(self._axes)))
            ys.append([_rounded(value) for value in y])
        return {"xs": [[_rounded(value) for value in x] for x in self._axes], "curveAxes": axes, "ys": ys}


def _curve_indices(row: BoardRow, board: Board, names: _Words, drawn: _Curves) -> list[list[int]]:
    return [[names(_visible(name)), drawn(key)] for name, key in row.curves.items() if key in board.curves]


def short_names(names: Sequence[str]) -> list[str]:
    """Return what stands above a curve: its column of the file, its file's name, or all where another has the same."""
    lasts = [name.rpartition(": ")[2] for name in names]
    shorts = [one.rpartition("/")[2].partition(".")[0] or one for one in lasts]
    found = list(names)
    for candidates in (lasts, shorts):
        counts = Counter(candidates)
        found = [one if counts[one] == 1 else before for one, before in zip(candidates, found, strict=True)]
    return found


def _rounded(value: float) -> float:
    found = float(f"{value:.{_DIGITS}g}")
    return int(found) if found.is_integer() and abs(found) < 1e15 else found


def _values(column: BoardColumn, rows: Sequence[BoardRow]) -> list[Scalar]:
    values = (
        (row.metrics.get(column.key) for row in rows) if column.metric else (row.params.get(column.key) for row in rows)
    )
    return [value if type(value) is int else _value(value) for value in values]


def _value(value: Scalar) -> Scalar:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return _visible(value) if isinstance(value, str) else value


@lru_cache(100_000)
def _visible(text: str) -> str:
    return escape_invisible(text, _LONGEST)


def _links(found: Mapping[str, str], commit: str) -> list[list[str]]:
    checked = ((word, web_address(address)) for word, address in found.items())
    return [[word, _short(address, commit)] for word, address in checked if address is not None]


def _short(address: str, commit: str) -> str:
    return address.replace(commit, _COMMIT) if commit else address
