"""Hide credentials in what the page shows: it is published to more people than the repository."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

from mlbutler.record import Scalar
from mlbutler.report.board.model import Board, Row


def redacted(board: Board, hide: Callable[[str], str]) -> Board:
    """Return the same experiments with credentials hidden in every text.

    Args:
        hide: returns a text without credentials.
    """
    hidden = cache(hide)  # most texts are there many times

    def values(found: Mapping[str, Scalar]) -> dict[str, Scalar]:
        return {key: hidden(value) if isinstance(value, str) else value for key, value in found.items()}

    def row(one: Row) -> Row:
        return replace(
            one, name=hidden(one.name), branch=hidden(one.branch), author=hidden(one.author), state=hidden(one.state),
            metrics=values(one.metrics), params=values(one.params),
            links={word: hidden(address) for word, address in one.links.items()},
        )  # fmt: skip

    notes = tuple(map(hidden, board.notes))
    return replace(board, title=hidden(board.title), rows=tuple(map(row, board.rows)), notes=notes)
