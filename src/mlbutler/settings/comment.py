"""What can be set of the comment on a pull request."""

from __future__ import annotations

from pydantic import Field

from mlbutler.settings.types import Patience, Section


class CommentSettings(Section):
    """The comment on a pull request. A pull request itself cannot change these."""

    pictures: bool = Field(
        True,
        description="where the forge takes no pictures, push them to the pull request's report branch and show them "
        "from there",
    )
    keep: Patience = Field(
        90 * 86400.0, description="how old a report branch may get, such as '30d', before a run removes it; 0: for ever"
    )
