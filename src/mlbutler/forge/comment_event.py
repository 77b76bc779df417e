"""Which comment on which pull request an event or webhook is about: two numbers, and nothing else of it is believed.

Text, author and pull request are read from the forge itself: a webhook's sender may be anybody.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlbutler.errors import OutsideError, UsageError
from mlbutler.forge.answers import text, value_at
from mlbutler.frozen import frozen
from mlbutler.parsing import Unreadable, parse_json

_LARGEST = 16 * 1024 * 1024
_LONGEST = 20
# Of GitHub, Gitea, Forgejo, Gogs and DagsHub; of GitLab; of Bitbucket Cloud; of Data Center.
_NUMBERS = ("issue.number", "merge_request.iid", "pullrequest.id", "pullRequest.id")
_COMMENTS = ("comment.id", "object_attributes.id")
_NEW = ("created", "create", "")


@frozen
class CommentEvent:
    """A comment of this id was added to the pull request of this number."""

    number: str
    comment: str


def read_event(path: Path) -> CommentEvent | None:
    """Return what a JSON file says was commented on, None where it is about something else.

    Raises:
        OutsideError: it cannot be read. UsageError: it is no JSON, or too large.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise OutsideError(f"{path} cannot be read: {error.strerror or error}.", "Name the event's file.") from error
    if len(content) > _LARGEST:
        raise UsageError(f"{path} is larger than {_LARGEST >> 20} MB.", "Name the event's file.")
    try:
        found = parse_json(content)
    except Unreadable as error:
        raise UsageError(f"{path} is not an event: it is {error.problem}.", "Name the event's file.") from error
    return _event(found)


def _event(found: Any) -> CommentEvent | None:
    attributes = value_at(found, "object_attributes")
    if text(found, "action") not in _NEW or (attributes is not None and text(attributes, "action") not in _NEW):
        return None
    number, comment = text(found, *_NUMBERS), text(found, *_COMMENTS)
    if not is_number(number) or not is_number(comment):
        return None
    return CommentEvent(number, comment)


def is_number(given: str) -> bool:
    """Return whether it is a number as forges give to pull requests and comments."""
    return given.isascii() and given.isdigit() and len(given) <= _LONGEST
