"""Experiments with something of everything."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from mlbutler.report.board.columns import columns, main_column
from mlbutler.report.board.model import Board, BoardRow, RowKind

ACCURACY, LOSS, RATE = "metrics.json:test.accuracy", "metrics.json:loss", "params.yaml:train.rate"
OPTIMIZER, DEPTH = "params.yaml:train.optimizer", "params.yaml:train.depth"
PAGES = "https://forge.example/team/project"


def _row(number: int, accuracy: float, rate: float, **changes: Any) -> BoardRow:
    commit = f"{number:040x}"
    row = BoardRow(
        kind=RowKind.COMMIT, name=f"Try {number}", commit=commit, branch="main", when=1_700_000_000 + number * 3600,
        author="Ada", metrics={ACCURACY: accuracy, LOSS: round(1 - accuracy, 4)},
        params={RATE: rate, OPTIMIZER: "adam", DEPTH: 3}, baseline=f"{number - 1:040x}" if number > 1 else "",
        links={"commit": f"{PAGES}/commit/{commit}"}, curves={"dvclive/loss.tsv: loss": f"curve {number}"},
    )  # fmt: skip
    return dataclasses.replace(row, **changes)


def board_of(*rows: BoardRow, **changes: Any) -> Board:
    """A board of these rows."""
    found, _ = columns(rows, {})
    curves = {key: ((0.0, 1.0, 2.0), (1.0, 0.5, 0.25)) for row in rows for key in row.curves.values()}
    board = Board("team/project", "main", tuple(rows), found, main_column(found, []), curves)
    return dataclasses.replace(board, **changes)


@pytest.fixture
def board() -> Board:
    """Two commits of main, a pull request, an experiment on the newest of main, one that still runs, newest first."""
    return board_of(
        _row(7, 0.5, 0.3, kind=RowKind.TRAINING, name="sweep-3", commit="", branch="", state="running", metrics={},
             params={RATE: 0.3}, links={"build": "https://jenkins.example/job/train/7/"}, curves={},
             baseline=f"{2:040x}"),
        _row(6, 0.96, 0.02, kind=RowKind.EXPERIMENT, name="sweep-1", branch="", baseline=f"{2:040x}"),
        _row(5, 0.91, 0.02, same=True, baseline=f"{2:040x}"),
        _row(4, 0.93, 0.05, kind=RowKind.PULL_REQUEST, name="Larger rate", branch="larger", pull="7", author="Grace",
             baseline=f"{2:040x}"),
        _row(2, 0.91, 0.02, params={RATE: 0.02, OPTIMIZER: "sgd", DEPTH: 3}),
        _row(1, 0.90, 0.01),
    )  # fmt: skip


def poison_board(board: Board, text: Callable[[], str]) -> Board:
    """The board with every text that a pull request can bring replaced, keys of columns too."""

    def row(one: BoardRow) -> BoardRow:
        values = {text(): value if not isinstance(value, str) else text() for value in (*one.metrics.values(), "x")}
        return dataclasses.replace(
            one, name=text(), branch=text(), author=text(), state=text(), pull=text(), metrics=values,
            params={text(): text()}, links={**one.links, text(): text(), "build": text()},
            curves={text(): key for key in one.curves.values()},
        )  # fmt: skip

    return board_of(*map(row, board.rows), title=text(), target=text(), notes=(text(),))
