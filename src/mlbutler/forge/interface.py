"""What a forge can do for us, whichever it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from mlbutler.record import Change


class State(StrEnum):
    """A commit status. `ERROR` says that nothing was judged because something outside failed."""

    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a forge takes.

    Attributes:
        comment_limit: the longest comment in `unit`, None without a limit.
        sentence_limit: the longest sentence of a status, in characters.
    """

    comment_limit: int | None
    unit: Literal["characters", "bytes"]
    sentence_limit: int


@dataclass(frozen=True)
class Posted:
    """Where a comment is. `newer` is the newer commit whose comment was left alone, '' when ours is there."""

    location: str
    newer: str = ""


class Forge(Protocol):
    """Comments and statuses of one repository."""

    name: str
    capabilities: Capabilities

    def comment(self, change: Change, title: str, body: str, is_older: Callable[[str], bool]) -> Posted:
        """Put `body` where the change's comment of this title is, or add it: there is never a second one.

        Args:
            body: Markdown whose last line is the marker of `mlbutler.report.markdown`.
            is_older: is our commit older than this one, which the comment there tells of? Then it stays.

        Raises:
            ForgeError: the comment could not be read or written.
        """
        ...

    def status(self, change: Change, title: str, state: State, sentence: str, target_url: str) -> str:
        """Set the status named `title` of the change's head; returns where it is.

        Raises:
            ForgeError: the status could not be set.
        """
        ...
