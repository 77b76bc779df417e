"""What can be set of the comment on a pull request."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Literal

from pydantic import Field, field_validator

from mlbutler.settings.types import Patience, Section, Strings

SECTIONS = (
    "metrics", "further-metrics", "gates", "repeats", "not-judged", "predictions", "code", "definitions", "remotes",
    "failures", "tests", "verified", "checks", "params", "plots", "data", "history", "results", "stages", "transfers",
    "lint", "steps", "provenance",
)  # fmt: skip
"""The report's sections by their names, in their order."""


class CommentSettings(Section):
    """The comment on a pull request. A pull request itself cannot change these."""

    when: Literal["always", "change", "failure"] = Field(
        "always",
        description="after every run, when something differs from the target, or when the run did not pass; a comment "
        "that is there is kept up to date in any case",
    )
    behavior: Literal["update", "new", "hide-and-new"] = Field(
        "update",
        description="one comment that is updated in place, a new one for each commit, or that with the earlier ones "
        "shortened to a line",
    )
    title: str | None = Field(None, description="heading in place of 'mlbutler' and the pipeline's name")
    sections: Strings = Field(
        (), description="names of the sections to show, in order; if empty all that tell something"
    )
    template: str | None = Field(
        None, description="path of a Jinja2 template of the whole comment, from the project's root"
    )
    pictures: bool = Field(
        True,
        description="where the forge takes no pictures, push them to the pull request's report branch and show them "
        "from there",
    )
    keep: Patience = Field(
        90 * 86400.0, description="how old a report branch may get, such as '30d', before a run removes it; 0: for ever"
    )

    @field_validator("sections")
    @classmethod
    def _are_known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in names if name not in SECTIONS]:
            raise ValueError(f"there is no section {unknown[0]!r} (there is: {', '.join(SECTIONS)})")
        return tuple(dict.fromkeys(names))

    @field_validator("template")
    @classmethod
    def _is_inside(cls, path: str | None) -> str | None:
        if path is not None and (not path or path.startswith("/") or ".." in PurePosixPath(path).parts):
            raise ValueError("must be a path inside the project")
        return path
