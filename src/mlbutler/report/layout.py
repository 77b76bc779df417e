"""What a team makes of a report in a comment: its heading, its sections and their order, or a form of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mlbutler.report.model import Report

Piece = str | Sequence[str] | Mapping[str, str]


@dataclass(frozen=True)
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

    def arranged(self, report: Report) -> Report:
        """Return the report with these sections alone, in this order. Its own title stays what tells it from others."""
        if not self.sections:
            return replace(report, heading=self.title)
        by_name = {section.name: section for section in report.sections}
        chosen = tuple(replace(by_name[name], quiet=False) for name in self.sections if name in by_name)
        return replace(report, heading=self.title, sections=chosen)


def filled(template: str, pieces: Mapping[str, Piece]) -> str:
    """Return a template's text.

    It sees nothing but the pieces, which are escaped Markdown, and can call nothing but Jinja2's own filters.

    Raises:
        TemplateProblem: it is no template, or fails.
    """
    from jinja2 import StrictUndefined
    from jinja2.exceptions import SecurityError, TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    try:
        text = environment.from_string(template).render(pieces)
    except (TemplateError, SecurityError) as error:
        raise TemplateProblem(error.message or type(error).__name__) from error
    except (ArithmeticError, LookupError, MemoryError, RecursionError, TypeError, ValueError) as error:
        raise TemplateProblem(f"{type(error).__name__}: {error}") from error
    return text.strip()


class TemplateProblem(Exception):
    """Why a template gave no text."""
