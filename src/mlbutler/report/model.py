"""What a report says, before it is Markdown or HTML: sections made of a few kinds of blocks.

All text here is raw; each rendering escapes it in its own way.
"""

from __future__ import annotations

from enum import StrEnum

from mlbutler.escape import escape_invisible
from mlbutler.frozen import frozen
from mlbutler.record import PlotChange


class Tone(StrEnum):
    """How a thing is meant: decided by the judgement, never by the sign of a number."""

    NONE = ""
    GOOD = "good"
    BAD = "bad"
    WARN = "warn"
    MUTED = "muted"


class Style(StrEnum):
    """How a piece of a line is set."""

    PLAIN = "plain"
    STRONG = "strong"
    CODE = "code"
    LINK = "link"


@frozen
class Span:
    """A piece of a line; `href` is for links and code, and is checked by each rendering."""

    text: str
    style: Style = Style.PLAIN
    href: str = ""


Line = tuple[Span, ...]


@frozen
class Column:
    """One column of a table; numbers are set flush right."""

    name: str
    numeric: bool = False


@frozen
class Cell:
    """One cell of a table."""

    line: Line
    tone: Tone = Tone.NONE


Row = tuple[Cell, ...]


@frozen
class Paragraph:
    """A sentence or two."""

    line: Line
    tone: Tone = Tone.NONE


@frozen
class Items:
    """A list; `left_out` counts the items that are not shown."""

    lines: tuple[Line, ...]
    left_out: int = 0


@frozen
class Table:
    """A table with a caption; the first column names the row."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


@frozen
class CodeBlock:
    """Lines of a program's output, or commands to copy."""

    caption: str
    lines: tuple[str, ...]


@frozen
class Picture:
    """A plot to be drawn, where pictures can be shown."""

    plot: PlotChange


@frozen
class Gallery:
    """Examples of the data, for pages alone: (data URI, what it is); each rendering checks the URI."""

    caption: str
    pictures: tuple[tuple[str, str], ...]


@frozen
class Trend:
    """A number over time as a small chart, for pages alone: the past, oldest first, and the number now.

    `labels` name the points of `past`.
    """

    name: str
    past: tuple[float, ...]
    now: float | None
    labels: tuple[str, ...]


@frozen
class Trends:
    """Several of them side by side."""

    caption: str
    items: tuple[Trend, ...]


Block = Paragraph | Items | Table | CodeBlock | Picture | Gallery | Trends


@frozen
class Section:
    """A part of the report.

    Attributes:
        name: short and stable, fit for an anchor.
        summary: what a reader learns without unfolding it.
        folded: shown on demand. important: shown unfolded although it could be folded.
        quiet: nothing in it happened or went wrong; a comment does without.
        priority: what is dropped first to fit a forge: the lowest.
    """

    name: str
    title: str
    blocks: tuple[Block, ...]
    priority: int
    summary: str = ""
    folded: bool = True
    important: bool = False
    quiet: bool = False

    @property
    def rows(self) -> int:
        """Count rows and items, for saying how many are not shown."""
        return sum(
            len(b.rows) if isinstance(b, Table) else len(b.lines) if isinstance(b, Items) else 0 for b in self.blocks
        )


@frozen
class Headline:
    """The verdict: a word, a sentence that names the deciding number, what to do, what else to know."""

    word: str
    sentence: str
    tone: Tone
    remedy: str = ""
    further: tuple[str, ...] = ()

    def plain(self, limit: int) -> str:
        """Return one line of at most `limit` characters, for a commit status, without invisible characters."""
        text = escape_invisible(f"{self.word}: {self.sentence}" if self.sentence else self.word)
        return text if len(text) <= limit else text[: limit - 1] + "…"


@frozen
class Report:
    """The whole report.

    Attributes:
        title: which report it is. heading: what stands in its place above, '' for itself. experiment: what was tried.
        subject: what was compared with what. places: where the rest is: the build, the results.
        steps: (name, outcome in words, tone) for an overview.
        more: where the whole report is, as a sentence.
    """

    title: str
    experiment: str
    headline: Headline
    subject: Line
    places: tuple[Line, ...]
    steps: tuple[tuple[str, str, Tone], ...]
    sections: tuple[Section, ...]
    head: str
    more: Line
    heading: str = ""


def plain(text: str) -> Span:
    """Return text as it is."""
    return Span(text)


def strong(text: str) -> Span:
    """Return emphasised text."""
    return Span(text, Style.STRONG)


def code(text: str) -> Span:
    """Return a name, path or command as code."""
    return Span(text, Style.CODE)


def link(text: str, href: str) -> Span:
    """Return text that is a link."""
    return Span(text, Style.LINK, href)


def cell(text: str, tone: Tone = Tone.NONE, style: Style = Style.PLAIN) -> Cell:
    """Return a cell of one piece."""
    return Cell((Span(text, style),), tone)
