"""Commands in comments: ``/mlbutler approve COMMIT`` and the like, by a strict grammar. Pure.

A comment is a command when it is that one line and nothing else: none stands in a quotation, in a block of code, below
other text, or in what a program reports.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

from mlbutler.frozen import frozen

PREFIX = "/mlbutler"
USAGE = ("run", "repeat N", "verify", "approve COMMIT", "waive METRIC until YYYY-MM-DD because REASON")
"""The commands that there are."""
MOST_REPEATS = 200
_LONGEST = 1000
_WHITE = " \t\r\n"
_RUN = re.compile("run")
_REPEAT = re.compile("repeat +([0-9]{1,3})")
_VERIFY = re.compile("verify")
_APPROVE = re.compile("approve +([0-9a-f]{40}|[0-9a-f]{64})")
_WAIVE = re.compile(
    r"waive +(?P<metric>[^\s\"'`\\]{1,200}) +until +(?P<until>[0-9]{4}-[0-9]{2}-[0-9]{2}) +"
    r"because +(?P<reason>\S.{0,499})"
)


@frozen
class Rerun:
    """Run everything once more at the pull request's head."""


@frozen
class Repeat:
    """Run it, and measure the gates' metrics with so many seeds."""

    count: int


@frozen
class Verify:
    """Run it, and verify every stage that the change brings results of."""


@frozen
class Approve:
    """Let the code of a fork's pull request run with the credentials of the repository's own, at this commit."""

    commit: str


@frozen
class Waive:
    """Propose to let a gate's failure pass until the end of a day."""

    metric: str
    until: date
    reason: str


@frozen
class Malformed:
    """A comment that begins like a command and is not a valid one."""


Command = Rerun | Repeat | Verify | Approve | Waive | Malformed


def parse_command(text: str) -> Command | None:
    """Return the command in a comment, None when the comment is not a command.

    Characters that only look like those of the grammar make no command.
    """
    if len(text) > _LONGEST:
        return None
    line = text.strip(_WHITE)
    head, _, rest = line.partition(" ")
    if head != PREFIX:
        return None
    if not line.isprintable():  # further lines, or what shows nothing and changes how the rest is read
        return Malformed()
    rest = rest.strip(" ")
    found = next((make(match) for form, make in _FORMS if (match := form.fullmatch(rest)) is not None), None)
    return found or Malformed()


def _repeat(match: re.Match[str]) -> Command | None:
    count = int(match[1])
    return Repeat(count) if 2 <= count <= MOST_REPEATS else None


def _waive(match: re.Match[str]) -> Command | None:
    try:
        return Waive(match["metric"], date.fromisoformat(match["until"]), match["reason"].strip(" "))
    except ValueError:
        return None


_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Command | None]], ...] = (
    (_RUN, lambda match: Rerun()),
    (_REPEAT, _repeat),
    (_VERIFY, lambda match: Verify()),
    (_APPROVE, lambda match: Approve(match[1])),
    (_WAIVE, _waive),
)


def approval(commit: str) -> str:
    """Return the comment that approves a commit."""
    return f"{PREFIX} approve {commit}"
