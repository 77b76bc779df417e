"""Print lines and tables of a report on a terminal, in its colours where it has any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlbutler.console import Console
from mlbutler.live_lines import clean
from mlbutler.report.model import Table, Tone

if TYPE_CHECKING:
    from rich.text import Text

_LONGEST = 300
_STYLES = {Tone.GOOD: "green", Tone.BAD: "red", Tone.WARN: "yellow", Tone.MUTED: "dim"}


class Screen:
    """Writes where a console's messages go; hides the same secrets, shows no control character and no CI command."""

    def __init__(self, console: Console) -> None:
        from rich.console import Console as Terminal

        self._terminal, self._redactor = Terminal(file=console.stream), console.redactor

    def line(self, said: str, tone: Tone = Tone.NONE) -> None:
        """Print a line; a terminal wraps a long one. In a log the rest of it would stand where a command does."""
        self._terminal.print(self._text(said, tone), soft_wrap=not self._terminal.is_terminal)

    def table(self, table: Table, *, whole: Sequence[str] = ()) -> None:
        """Print a table with its caption above, folded to the terminal's width; the columns `whole` are not."""
        from rich.table import Table as Grid

        if table.caption:
            self.line(table.caption)
        grid = Grid()
        for column in table.columns:
            name, kept = column.name, column.name in whole
            grid.add_column(name, justify="right" if column.numeric else "left", overflow="fold", no_wrap=kept)
        for row in table.rows:
            grid.add_row(*(self._text("".join(span.text for span in cell.line), cell.tone) for cell in row))
        self._terminal.print(grid)

    def _text(self, said: str, tone: Tone = Tone.NONE) -> Text:
        from rich.text import Text

        hidden = self._redactor.hide(said)
        shown = clean("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in hidden))
        return Text(shown[:_LONGEST], style=_STYLES.get(tone, ""))
