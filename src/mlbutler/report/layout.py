"""What a team makes of a report in a comment: its heading, its sections and their order, or a form of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mlbutler.frozen import frozen
from mlbutler.renderer_process import RendererFailed, run_renderer
from mlbutler.report.model import Report

_WORKER = Path(__file__).with_name("layout_worker.py")
_TIMEOUT = 30.0

Piece = str | Sequence[str] | Mapping[str, str]


@frozen
class Layout:
    """How a comment is laid out.

    Attributes:
        title: the heading in place of the report's own, '' for that.
        sections: names of the sections to show, in order; all where there is none.
        template: a Jinja2 template of the whole comment, '' for the usual form.
    """

    title: str = ""
    sections: tuple[str, ...] = ()
    template: str = ""

    def arrange(self, report: Report) -> Report:
        """Return the report with these sections alone, in this order. Its own title stays what tells it from others."""
        if not self.sections:
            return replace(report, heading=self.title)
        by_name = {section.name: section for section in report.sections}
        chosen = tuple(replace(by_name[name], quiet=False) for name in self.sections if name in by_name)
        return replace(report, heading=self.title, sections=chosen)


def fill_template(template: str, pieces: Mapping[str, Piece]) -> str:
    """Return a template's text.

    It sees nothing but the pieces, which are escaped Markdown, and can call nothing but Jinja2's own filters.
    A process without credentials fills it, within bounds of time and memory.

    Raises:
        TemplateProblem: it is no template, or fails.
    """
    request = {"template": template, "pieces": dict(pieces)}
    try:
        answer = run_renderer(_WORKER, request, timeout=_TIMEOUT, rendered="filled")
    except RendererFailed as error:
        raise TemplateProblem(str(error)) from error
    if "text" not in answer:
        raise TemplateProblem(answer["problem"])
    return str(answer["text"])


class TemplateProblem(Exception):
    """Why a template gave no text."""
