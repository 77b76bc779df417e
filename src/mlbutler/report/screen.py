"""Print lines and tables of a report on a terminal, in its colours where it has any.

A log gets the same lines without rich, whose import takes longer than all that is printed.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

from mlbutler.console import Console
from mlbutler.live_lines import clean
from mlbutler.report.model import Table, Tone

if TYPE_CHECKING:
    from rich.text import Text

_LONGEST = 300
_STYLES = {Tone.GOOD: "green", Tone.BAD: "red", Tone.WARN: "yellow", Tone.MUTED: "dim"}
_FORCING = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
"""By these variables rich takes a stream for a terminal."""
_USUAL_WIDTH = 80
_NARROW = re.compile(r"[ -~\xa1-\xac\xae-\u02ff—−→…≈≤≥\ufffd]*").fullmatch
"""Text whose characters each take one place."""
_PLAIN_NAME = re.compile(r"[ \w().%-]*", re.ASCII).fullmatch
"""A column's name that is no markup to rich."""


class Screen:
    """Writes where a console's messages go; hides the same secrets, shows no control character and no CI command."""

    def __init__(self, console: Console) -> None:
        self._stream, self._redactor = console.stream, console.redactor
        self._log = _is_log(self._stream)

    @cached_property
    def _terminal(self) -> Any:
        from rich.console import Console as Terminal

        return Terminal(file=self._stream)

    def line(self, said: str, tone: Tone = Tone.NONE) -> None:
        """Print a line; a terminal wraps a long one. In a log the rest of it would stand where a command does."""
        if self._log:
            print(self._sanitise(said), file=self._stream, flush=True)
        else:
            self._terminal.print(self._text(said, tone), soft_wrap=not self._terminal.is_terminal)

    def table(self, table: Table, *, whole: Sequence[str] = ()) -> None:
        """Print a table with its caption above, folded to the terminal's width; the columns `whole` are not."""
        if table.caption:
            self.line(table.caption)
        if self._log and (lines := self._lines(table)):
            print("\n".join(lines), file=self._stream, flush=True)
            return
        from rich.table import Table as Grid

        grid = Grid()
        for column in table.columns:
            name, kept = column.name, column.name in whole
            grid.add_column(name, justify="right" if column.numeric else "left", overflow="fold", no_wrap=kept)
        for row in table.rows:
            grid.add_row(*(self._text("".join(span.text for span in cell.line), cell.tone) for cell in row))
        self._terminal.print(grid)

    def _lines(self, table: Table) -> list[str]:
        """Return the table as rich draws it where nothing is to be folded; [] where rich has to."""
        names = [column.name for column in table.columns]
        rows = [[self._sanitise("".join(span.text for span in cell.line)) for cell in row] for row in table.rows]
        strange = any(not _NARROW(text) for row in rows for text in row) or not all(map(_PLAIN_NAME, names))
        if not rows or not names or strange:
            return []
        widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
        if sum(widths) + 3 * len(widths) + 1 > _width():
            return []

        def row(texts: Iterable[str], edge: str) -> str:
            put = zip(texts, widths, table.columns, strict=True)
            cells = (text.rstrip().rjust(width) if column.numeric else text.ljust(width) for text, width, column in put)
            return f"{edge} {f' {edge} '.join(cells)} {edge}"

        def rule(left: str, line: str, cross: str, right: str) -> str:
            return left + cross.join(line * (width + 2) for width in widths) + right

        return [
            rule("┏", "━", "┳", "┓"),
            row(names, "┃"),
            rule("┡", "━", "╇", "┩"),
            *(row(texts, "│") for texts in rows),
            rule("└", "─", "┴", "┘"),
        ]

    def _sanitise(self, said: str) -> str:
        hidden = self._redactor.hide(said)
        return clean("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in hidden))[:_LONGEST]

    def _text(self, said: str, tone: Tone = Tone.NONE) -> Text:
        from rich.text import Text

        return Text(self._sanitise(said), style=_STYLES.get(tone, ""))


def _is_log(stream: TextIO) -> bool:
    """Return whether rich would write plain lines there, of all characters."""
    forced = any(os.environ.get(name) for name in _FORCING) or "IPython" in sys.modules
    return not forced and not stream.isatty() and (stream.encoding or "utf-8").lower().startswith("utf")


def _width() -> int:
    """Return the width that rich gives a log; 0 where it would ask a terminal that is near."""
    named = os.environ.get("COLUMNS", "")
    if named.isdecimal() and named.isascii():
        return int(named)
    return 0 if any(os.isatty(number) for number in range(3)) else _USUAL_WIDTH
