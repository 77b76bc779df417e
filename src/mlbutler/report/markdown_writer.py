"""The pieces of a report as GitHub-flavoured Markdown: head, sections and their blocks, lines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mlbutler import numbers
from mlbutler.escape import escape_invisible, markdown, preformatted, web_address
from mlbutler.frozen import frozen
from mlbutler.report.model import (
    Block,
    CodeBlock,
    Gallery,
    Items,
    Line,
    Paragraph,
    Picture,
    Report,
    Row,
    Section,
    Span,
    Style,
    Table,
    Tone,
    Trends,
)
from mlbutler.report.pictures import is_picture, of_plot
from mlbutler.report.plots.figure import File

CAPTION_LIMIT = 200
_SYMBOLS = {Tone.GOOD: "✅", Tone.BAD: "❌", Tone.WARN: "⚠️"}
_TEXT_LIMIT = 1000
_CELL_LIMIT = 160
_ROWS = 100
_PICTURE_PRIORITY = 61
_UNIT = re.compile(r"([0-9]) (?=(?:%|[KMGT]?B|s|min|h)(?![\w.]))")
"""Between a number and its unit: a line does not end there."""


@frozen
class Part:
    """A piece of the comment that stays or goes as a whole. `priority` None: always stays."""

    text: str
    priority: int | None = None
    name: str = ""
    rows: int = 0


class MarkdownWriter:
    """A report's pieces as Markdown.

    Args:
        html, folds: see `mlbutler.report.markdown.Limits`. pictures: name of a file of a plot -> address at which it is
            shown. more: where the whole report is, as Markdown.
    """

    def __init__(self, *, html: bool, folds: bool, pictures: Mapping[str, str], more: str) -> None:
        self._html, self._folds = html, html and folds
        self._pictures = pictures
        self.more = more
        self._first: Picture | None = None

    def head(self, report: Report) -> dict[str, str]:
        """Return heading, verdict, what was compared and where the rest is, what to do, what else to know."""
        said = report.headline
        symbol = f"{_SYMBOLS[said.tone]} " if said.tone in _SYMBOLS else ""
        experiment = f": {markdown(report.experiment, CAPTION_LIMIT)}" if report.experiment else ""
        title = markdown(report.heading or report.title, CAPTION_LIMIT)
        return {
            "heading": f"### {symbol}{title}{experiment}",
            "verdict": f"**{said.word}**" + (f": {markdown(said.sentence)}" if said.sentence else ""),
            "links": " · ".join(self.line(line) for line in (report.subject, *report.places)),
            "remedy": f"**What to do**: {markdown(said.remedy)}" if said.remedy else "",
            "further": "\n".join(f"- {markdown(text)}" for text in said.further),
        }

    def section(self, section: Section) -> Part:
        """Return a section, folded where that is understood."""
        captions = sum(isinstance(block, Table) for block in section.blocks) > 1
        texts = [self._block(block, captions) for block in section.blocks]
        plots = [block.plot for block in section.blocks if isinstance(block, Picture)]
        shown = [plot for plot in plots if is_picture(plot)]
        if shown and not self._pictures:
            texts.append(f"Pictures are not shown here. {self.more}.")
        elif any(not self._pictures.get(file.name) for plot in shown for file in of_plot(plot)):
            texts.append(f"{self.more}.")
        body = "\n\n".join(filter(None, texts))
        title = markdown(section.title)
        summary = f": {markdown(section.summary, CAPTION_LIMIT)}" if section.summary else ""
        if section.name == "metrics":  # follows the verdict, which is its heading
            text = body
        elif section.folded and self._folds:
            opened = " open" if section.important else ""
            text = f"<details{opened}><summary><b>{title}</b>{summary}</summary>\n\n{body}\n\n</details>"
        else:
            text = f"**{title}**{summary if section.folded else ''}\n\n{body}"
        return Part(text, section.priority, section.title.lower(), section.rows)

    def _block(self, block: Block, captions: bool) -> str:
        if isinstance(block, Paragraph):
            return self.line(block.line)
        if isinstance(block, Items):
            more = [f"- {numbers.count(block.left_out, 'item')} not shown"] if block.left_out else []
            return "\n".join([*(f"- {self.line(line)}" for line in block.lines), *more])
        if isinstance(block, Table):
            return self._table(block, captions)
        if isinstance(block, CodeBlock):
            return self._log(block)
        if isinstance(block, Gallery | Trends):
            return ""
        return self._picture(block)

    def _log(self, log: CodeBlock) -> str:
        caption = markdown(log.caption, CAPTION_LIMIT)
        if not self._html:  # indented, a line cannot end the block
            return f"{caption}\n\n" + "\n".join(f"    {escape_invisible(line)}" for line in log.lines)
        inside = "\n".join(preformatted(escape_invisible(line)) for line in log.lines)
        # <pre> ends at its own end tag only, whatever the lines hold; a fence could be closed by one of them
        return f"{caption}\n\n<pre>\n{inside}\n</pre>"

    def first_picture(self, sections: Sequence[Section]) -> Part | None:
        """Return the first plot that can be shown, to stand before what is folded; None where none can."""
        if not self._pictures:  # drawing the plots to find none of them is a tenth of a large report
            return None
        blocks = (block for section in sections for block in section.blocks if isinstance(block, Picture))
        for block in blocks:
            if any(self._pictures.get(file.name) for file in of_plot(block.plot)):
                part = Part(self._picture(block), _PICTURE_PRIORITY, "the first picture")
                self._first = block
                return part
        return None

    def _picture(self, block: Picture) -> str:
        """Return the plot's pictures; name one that is missing, for a broken link would say nothing."""
        if not self._pictures or block is self._first:
            return ""
        title = markdown(block.plot.title or block.plot.file, CAPTION_LIMIT)
        files = of_plot(block.plot)
        if not any(file.side for file in files):
            return "\n\n".join(f"{title}:{self._embed_picture(title, file, chr(10) * 2)}" for file in files)
        sides = [markdown(file.side) for file in files]
        cells = [self._embed_picture(f"{title}, {side}", file, "") for side, file in zip(sides, files, strict=True)]
        rule = "|".join(" --- " for _ in files)
        return f"{title}:\n\n| {' | '.join(sides)} |\n|{rule}|\n| {' | '.join(cells)} |"

    def _embed_picture(self, name: str, file: File, before: str) -> str:
        if address := self._pictures.get(file.name, ""):
            return f"{before}![{name}]({_escape_address(address)})"
        unsent = "the forge did not take it" if file.name in self._pictures else "there is no room for it here"
        return f" **no picture**: {markdown(file.problem or unsent, CAPTION_LIMIT)}"

    def _table(self, table: Table, caption: bool) -> str:
        head = "| " + " | ".join(column.name for column in table.columns) + " |"
        rule = "|" + "|".join(" ---: " if column.numeric else " --- " for column in table.columns) + "|"
        rows = [self._row(row) for row in table.rows[:_ROWS]]
        left_out = len(table.rows) - len(rows)
        after = f"\n\n{numbers.count(left_out, 'row')} not shown." if left_out else ""
        before = f"{markdown(table.caption)}:\n\n" if caption else ""
        return f"{before}{head}\n{rule}\n" + "\n".join(rows) + after

    def _row(self, row: Row) -> str:
        cells = (self.line(cell.line, _CELL_LIMIT) or " " for cell in row)
        return "| " + " | ".join(_UNIT.sub(r"\1&nbsp;", text) for text in cells) + " |"

    def line(self, line: Line, limit: int = _TEXT_LIMIT) -> str:
        """Return a line of styled pieces."""
        return "".join(self._span(span, limit) for span in line)

    def code(self, text: str) -> str:
        """Return a name as it is typed."""
        return self.line((Span(text, Style.CODE),))

    def _span(self, span: Span, limit: int) -> str:
        text = _escape_keeping_spaces(span.text, limit)
        if not text:
            return ""
        if span.style is Style.STRONG:
            return f"**{text}**"
        if span.style is Style.CODE and self._html:
            text = f"<code>{text}</code>"
        if (address := web_address(span.href)) is not None:
            return f"[{text}]({_escape_address(address)})"
        return text


def _escape_address(address: str) -> str:
    """Escape the parentheses that would end the link's address early."""
    return address.replace("(", "%28").replace(")", "%29").replace(" ", "%20")


def _escape_keeping_spaces(text: str, limit: int) -> str:
    """Return escaped text that keeps the spaces at its ends: pieces of a line stand side by side."""
    inner = markdown(text, limit)
    if not inner:
        return ""
    return (" " if text.startswith(" ") else "") + inner + (" " if text.endswith(" ") else "")
