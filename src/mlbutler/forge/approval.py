"""Which comments on a pull request count, and which commit of a fork is approved: by what the forge says alone."""

from __future__ import annotations

import re

from mlbutler.forge.comment_command import Approve, parse_command
from mlbutler.forge.hosted import Hosted
from mlbutler.forge.interface import Comment
from mlbutler.frozen import frozen
from mlbutler.record import Change

_UNUSUAL = re.compile(r"[^A-Za-z0-9._@-]+")
_LONGEST_NAME = 100


@frozen
class Approval:
    """Somebody with write access approved a commit."""

    commit: str
    by: str


def name(comment: Comment) -> str:
    """Return a comment's author as one word of letters that no shell, file or text takes for anything else."""
    return _UNUSUAL.sub("_", comment.login or comment.author)[:_LONGEST_NAME] or "somebody"


def objection(forge: Hosted, comment: Comment) -> str:
    """Return why a comment does not count, '' where its author may write to the repository now and wrote it so.

    Raises:
        ForgeError: the forge could not be asked.
    """
    if not comment.original:
        return "its text was changed since it was written, or nothing says that it was not"
    allowed = forge.may_write(comment)
    if allowed is None:
        return f"the forge does not say what {name(comment)} may do: see the token's rights in `mlbutler help forges`"
    return "" if allowed else f"{name(comment)} may not write to the repository"


def find_approval(forge: Hosted, change: Change) -> Approval | None:
    """Return the newest approval of the change's head among the comments on its pull request, None without one.

    Raises:
        ForgeError: the forge could not be asked.
    """
    wanted, refused = Approve(change.head), set[str]()
    for comment in reversed(list(forge.comments(change))):
        if parse_command(comment.body) != wanted or comment.author in refused:
            continue
        if not objection(forge, comment):
            return Approval(change.head, name(comment))
        if comment.original:
            refused.add(comment.author)
    return None
