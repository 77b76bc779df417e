"""Hide credentials in what the page shows: it is published to more people than the repository."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

from mlbutler.record import Scalar
from mlbutler.report.board.model import Board, BoardRow


def redact_board(board: Board, hide: Callable[[str], str]) -> Board:
    """Return the same experiments with credentials hidden in every text.

    Args:
        hide: returns a text without credentials.
    """
    hidden = cache(hide)  # most texts are there many times

    @cache
    def key(text: str) -> str:  # part by part: together they could look like a name and its secret
        return ":".join(map(hidden, text.split(":")))

    def values(found: Mapping[str, Scalar]) -> dict[str, Scalar]:
        return {key(name): hidden(value) if isinstance(value, str) else value for name, value in found.items()}

    def row(one: BoardRow) -> BoardRow:
        return replace(
            one, name=hidden(one.name), branch=hidden(one.branch), pull=hidden(one.pull),
            author=hidden(one.author), state=hidden(one.state),
            metrics=values(one.metrics), params=values(one.params),
            links={word: hidden(address) for word, address in one.links.items()},
            curves={key(name): points for name, points in one.curves.items()},
        )  # fmt: skip

    return replace(
        board, title=hidden(board.title), target=hidden(board.target), main=key(board.main),
        notes=tuple(map(hidden, board.notes)), rows=tuple(map(row, board.rows)),
        columns=tuple(replace(one, key=key(one.key), label=key(one.label)) for one in board.columns),
    )  # fmt: skip
