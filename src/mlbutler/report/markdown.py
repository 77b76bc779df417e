"""The report as a comment: GitHub-flavoured Markdown that any forge shows, cut to fit by whole sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from mlbutler import numbers
from mlbutler.escape import markdown
from mlbutler.frozen import frozen
from mlbutler.record import Record
from mlbutler.report.build import build
from mlbutler.report.layout import Layout, Piece, TemplateProblem, fill_template
from mlbutler.report.markdown_writer import CAPTION_LIMIT, MarkdownWriter, Part
from mlbutler.report.marker import marker, without_markers
from mlbutler.report.model import Report, Section
from mlbutler.settings import ReportSettings as Settings

Unit = Literal["characters", "bytes"]

_HEAVY = 1000
"""Characters of an address that holds the picture itself."""


@frozen
class Limits:
    """What a forge's comment can hold.

    Attributes:
        size: the longest text in `unit`, None without a limit.
        html: does it understand HTML inside Markdown?
        folds: does it understand Markdown inside ``<details>``, and fold it?
    """

    size: int | None = None
    unit: Unit = "characters"
    html: bool = True
    folds: bool = True

    def measure(self, text: str) -> int:
        """Return how long `text` is, in `unit`."""
        return len(text) if self.unit == "characters" else len(text.encode("utf-8"))


def render(
    record: Record, settings: Settings, limits: Limits | None = None, pictures: Mapping[str, str] | None = None
) -> str:
    """Return the report as Markdown; see `fit`."""
    return fit(build(record, settings), limits or Limits(), pictures)


def sections_on_demand(report: Report) -> list[Section]:
    """Return the sections that nobody has to see before asking for them."""
    return [section for section in report.sections if section.folded and not section.important]


def fit(
    report: Report,
    limits: Limits,
    pictures: Mapping[str, str] | None = None,
    branch: str = "",
    layout: Layout | None = None,
) -> str:
    """Return the report as Markdown; where that is too long, drop the sections of least priority whole.

    The marker is always kept, as the last line, and a note says what was dropped and where to find it.

    Args:
        pictures: name of a `mlbutler.report.plots.figure.File` -> address at which it is shown, '' when it was refused.
        branch: of Git, which has the whole report: what is shown on demand is named and left to it.
        layout: how the team wants it. A template that fails, or whose text is too long, gives way to the usual form.
    """
    if layout is not None:
        report = layout.arrange(report)
    more = MarkdownWriter(html=limits.html, folds=limits.folds, pictures={}, more="").line(report.more)
    write = MarkdownWriter(html=limits.html, folds=limits.folds, pictures=pictures or {}, more=more)
    told = [section for section in report.sections if not section.quiet]
    there = [section for section in sections_on_demand(report) if section in told] if branch else []
    picture = write.first_picture(told)
    kept = [write.section(section) for section in told if section not in there]
    head, last = write.head(report), marker(report.title, report.head, html=limits.html)
    problem = ""
    if layout is not None and layout.template:
        named = [section.name for section in told if section not in there]
        sections = dict(zip(named, (part.text for part in kept), strict=True))
        pieces: dict[str, Piece] = {
            **head,
            "picture": picture.text if picture else "",
            "more": write.more,
            "sections": sections,
        }
        text, problem = _render_template(layout.template, pieces, last, limits)
        if text:
            return text
    if picture is not None:
        kept.insert(int(bool(kept) and kept[0].name == "metrics"), picture)
    kept.insert(0, Part("\n\n".join(filter(None, head.values()))))
    if there:
        names = ", ".join(section.title.lower() for section in there)
        kept.append(Part(f"On the branch {write.code(branch)}: {names}."))
    if problem:
        kept.append(Part(f"The team's template is not used: {markdown(problem.rstrip('.'), CAPTION_LIMIT)}."))
    dropped: list[Part] = []
    while True:
        text = _join_parts(kept, dropped, last, write.more)
        droppable = [part for part in kept if part.priority is not None]
        if limits.size is None or limits.measure(text) <= limits.size or not droppable:
            return text
        if heavy := [name for name, address in (pictures or {}).items() if len(address) > _HEAVY]:
            fewer = {name: address for name, address in (pictures or {}).items() if name != heavy[-1]}
            return fit(report, limits, fewer, branch, layout)
        least = min(droppable, key=lambda part: part.priority or 0)
        kept.remove(least)
        dropped.append(least)


def _render_template(template: str, pieces: Mapping[str, Piece], last: str, limits: Limits) -> tuple[str, str]:
    """Return the comment by a template, or '' and why it is not used."""
    try:
        text = f"{without_markers(fill_template(template, pieces))}\n\n{last}\n"
    except TemplateProblem as error:
        return "", str(error)
    if limits.size is not None and limits.measure(text) > limits.size:
        return "", f"its text has {limits.measure(text):,} {limits.unit}, {limits.size:,} are allowed"
    return text, ""


def _join_parts(kept: Sequence[Part], dropped: Sequence[Part], last: str, more: str) -> str:
    texts = [part.text for part in kept]
    if dropped:
        names = ", ".join(p.name + (f" ({numbers.count(p.rows, 'row')} not shown)" if p.rows else "") for p in dropped)
        texts.append(f"Dropped to fit here: {names}. {more}.")
    return "\n\n".join((*texts, last)) + "\n"
