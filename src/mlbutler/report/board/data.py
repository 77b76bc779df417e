"""The experiments as JSON, as rows and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from mlbutler.record import Scalar
from mlbutler.report.board.model import Board, BoardColumn, BoardRow

SCHEMA = 1
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def document(board: Board) -> dict[str, Any]:
    """Return the experiments as a JSON document."""
    return {
        "schema": SCHEMA,
        "repository": board.title,
        "target": board.target,
        "main": board.main,
        "columns": [_column(column) for column in board.columns],
        "experiments": [_experiment(row) for row in board.rows],
        "notes": list(board.notes),
    }


def _column(column: BoardColumn) -> dict[str, Any]:
    kind = "metric" if column.metric else "param"
    return {"key": column.key, "label": column.label, "kind": kind, "goal": column.goal}


def _experiment(row: BoardRow) -> dict[str, Any]:
    return {
        **_about(row), "baseline": row.baseline, "unchanged": row.same, "metrics": dict(row.metrics),
        "params": dict(row.params), "links": dict(row.links),
    }  # fmt: skip


def _about(row: BoardRow) -> dict[str, str]:
    return {
        "kind": str(row.kind), "name": row.name, "commit": row.commit, "branch": row.branch, "pull_request": row.pull,
        "when": iso(row.when), "author": row.author, "state": row.state,
    }  # fmt: skip


def iso(when: int) -> str:
    """Return a time in UTC, '' for none."""
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if when else ""


def flat(board: Board) -> Iterator[dict[str, Scalar]]:
    """Yield each experiment as one row: what it is, then its metrics and params under their columns' labels."""
    for row in board.rows:
        about: Mapping[str, Scalar] = _about(row)
        values = ((column.key if column.label in about else column.label, column.of(row)) for column in board.columns)
        yield {**about, **dict(values)}


def as_csv(board: Board) -> str:
    """Return the experiments as CSV, where no text is a formula to a spreadsheet."""
    rows = list(flat(board))
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(map(_harmless, rows[0] if rows else ("kind", "name", "commit")))
    writer.writerows([_harmless(value) for value in row.values()] for row in rows)
    return written.getvalue()


def _harmless(value: Scalar) -> Scalar:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
