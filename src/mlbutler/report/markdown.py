"""The report as a comment: GitHub-flavoured Markdown that any forge shows, cut to fit by whole sections."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mlbutler.record import Record
from mlbutler.report import numbers
from mlbutler.report.build import build
from mlbutler.report.escape import hidden_comment, markdown, preformatted, visible, web_address
from mlbutler.report.model import Block, Items, Line, Log, Paragraph, Report, Row, Section, Span, Style, Table
from mlbutler.settings import Report as Settings

Unit = Literal["characters", "bytes"]

_TEXT_LIMIT = 1000
_CELL_LIMIT = 160
_ROWS = 100
_CAPTION_LIMIT = 200
_HEAD = re.compile(r"<!-- mlbutler:report:(?P<title>[^<>]*) head=(?P<head>[^\s<>]*) -->")


@dataclass(frozen=True)
class Part:
    """A piece of the comment that stays or goes as a whole. `priority` None: always stays."""

    text: str
    priority: int | None = None
    name: str = ""
    rows: int = 0


def render(record: Record, settings: Settings, limit: int | None = None, unit: Unit = "characters") -> str:
    """The report as Markdown.

    Args:
        limit: what a forge takes, in `unit`; None for all of it.
    """
    report = build(record, settings)
    parts = [Part(_headline(report)), *(_section(s) for s in report.sections)]
    return fit(parts, marker(report.title, report.head), limit, unit, _line(report.more))


def marker(title: str, head: str) -> str:
    """The hidden last line, by which a forge's adapter finds the comment again and knows its commit."""
    return f"<!-- mlbutler:report:{hidden_comment(title)} head={hidden_comment(head).replace(' ', '%20')} -->"


def marked_head(body: str, title: str) -> str | None:
    """The commit that a comment tells of, None when it is not ours or has another title."""
    found = [m for m in _HEAD.finditer(body) if m["title"] == hidden_comment(title)]
    return found[-1]["head"] if found else None


def fit(parts: Sequence[Part], last: str, limit: int | None, unit: Unit, more: str) -> str:
    """Join parts and the marker; where that is too long, drop the parts of least priority, whole.

    Args:
        last: always kept, as the last line. more: where to find what was left out.
    """
    dropped: list[Part] = []
    kept = list(parts)
    while True:
        text = _joined(kept, dropped, last, more)
        size = len(text) if unit == "characters" else len(text.encode("utf-8"))
        droppable = [part for part in kept if part.priority is not None]
        if limit is None or size <= limit or not droppable:
            return text
        least = min(droppable, key=lambda part: part.priority or 0)
        kept.remove(least)
        dropped.append(least)


def _joined(kept: Sequence[Part], dropped: Sequence[Part], last: str, more: str) -> str:
    texts = [part.text for part in kept]
    if dropped:
        names = ", ".join(p.name + (f" ({numbers.count(p.rows, 'row')} left out)" if p.rows else "") for p in dropped)
        texts.append(f"Left out to fit here: {names}. {more}.")
    return "\n\n".join((*texts, last)) + "\n"


def _headline(report: Report) -> str:
    said = report.headline
    first = f"**{said.word}**" + (f": {markdown(said.sentence)}" if said.sentence else "")
    lines = [first, f"{markdown(report.title)} looked at {_line(report.subject)}."]
    if said.remedy:
        lines.append(f"**What to do**: {markdown(said.remedy)}")
    if said.further:
        lines.append("\n".join(f"- {markdown(text)}" for text in said.further))
    return "\n\n".join(lines)


def _section(section: Section) -> Part:
    captions = sum(isinstance(block, Table) for block in section.blocks) > 1
    body = "\n\n".join(filter(None, (_block(block, captions) for block in section.blocks)))
    if section.folded:
        opened = " open" if section.important else ""
        summary = f": {markdown(section.summary, _CAPTION_LIMIT)}" if section.summary else ""
        text = f"<details{opened}><summary><b>{markdown(section.title)}</b>{summary}</summary>\n\n{body}\n\n</details>"
    elif section.name == "metrics":  # follows the verdict, which is its heading
        text = body
    else:
        text = f"**{markdown(section.title)}**\n\n{body}"
    return Part(text, section.priority, section.title.lower(), section.rows)


def _block(block: Block, captions: bool) -> str:
    if isinstance(block, Paragraph):
        return _line(block.line)
    if isinstance(block, Items):
        more = [f"- {numbers.count(block.left_out, 'item')} left out"] if block.left_out else []
        return "\n".join([*(f"- {_line(line)}" for line in block.lines), *more])
    if isinstance(block, Table):
        return _table(block, captions)
    if isinstance(block, Log):
        inside = "\n".join(preformatted(visible(line)) for line in block.lines)
        # <pre> ends at its own end tag only, whatever the lines hold; a fence could be closed by one of them
        return f"{markdown(block.caption, _CAPTION_LIMIT)}\n\n<pre>\n{inside}\n</pre>"
    return ""  # pictures would have to be hosted; the table above them says what they show


def _table(table: Table, caption: bool) -> str:
    head = "| " + " | ".join(column.name for column in table.columns) + " |"
    rule = "|" + "|".join(" ---: " if column.numeric else " --- " for column in table.columns) + "|"
    rows = [_row(row) for row in table.rows[:_ROWS]]
    left_out = len(table.rows) - len(rows)
    after = f"\n\n{numbers.count(left_out, 'row')} left out." if left_out else ""
    before = f"{markdown(table.caption)}:\n\n" if caption else ""
    return f"{before}{head}\n{rule}\n" + "\n".join(rows) + after


def _row(row: Row) -> str:
    return "| " + " | ".join(_line(cell.line, _CELL_LIMIT) or " " for cell in row) + " |"


def _line(line: Line, limit: int = _TEXT_LIMIT) -> str:
    return "".join(_span(span, limit) for span in line)


def _span(span: Span, limit: int) -> str:
    text = _inside(span.text, limit)
    if not text:
        return ""
    if span.style is Style.STRONG:
        return f"**{text}**"
    if span.style is Style.CODE:
        return f"<code>{text}</code>"
    if span.style is Style.LINK and (address := web_address(span.href)) is not None:
        return f"[{text}]({address.replace('(', '%28').replace(')', '%29')})"
    return text


def _inside(text: str, limit: int) -> str:
    """Escaped text that keeps the spaces at its ends: pieces of a line stand side by side."""
    inner = markdown(text, limit)
    if not inner:
        return ""
    return (" " if text.startswith(" ") else "") + inner + (" " if text.endswith(" ") else "")
