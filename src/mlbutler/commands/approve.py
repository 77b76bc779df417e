"""`mlbutler approve`: somebody with write access lets one commit of a fork's pull request run as one of ours.

The approval is a comment on the pull request that names the whole commit: the forge says who wrote it and what they
may do, and no content of a pull request can make one.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path

from mlbutler.commands.start import begin
from mlbutler.console import Console
from mlbutler.errors import EXIT_JUDGED, EXIT_PASSED, UsageError
from mlbutler.forge.approval import find_approval, objection
from mlbutler.forge.comment_command import approval
from mlbutler.forge.hosted import Hosted
from mlbutler.forge.interface import Comment
from mlbutler.steps.pull_request_head import head_of
from mlbutler.steps.reviewers import connect_comment_forge

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")


def approve(directory: Path, console: Console, number: str, commit: str) -> int:
    """Write the approval as a comment on the pull request; return the exit code.

    Raises:
        UsageError: no such pull request, another head, a forge without comments, somebody who may not write, or this is
            a CI server. ForgeError, GitError, AccessDenied, and as `begin`.
    """
    if not _NUMBER.fullmatch(number):
        raise UsageError(f"Not a pull request number: '{number[:40]}'.", "mlbutler approve NUMBER COMMIT")
    if not _COMMIT.fullmatch(commit):
        raise UsageError(f"Not a full commit id: '{commit[:80]}'.", "Pass the id of the commit that you have read.")
    with begin(directory, console, watching=True) as context:
        if context.record.change.ci != "local":
            raise UsageError("An approval is a person's: it is not given on a CI server.", "Write it as a comment.")
        forge = connect_comment_forge(context, os.environ)
        change = dataclasses.replace(context.record.change, number=number, head=commit)
        head = head_of(context, forge, number, commit)
        if head != commit:
            what = f"its head is {head}" if head else "the repository has no such pull request"
            raise UsageError(f"{commit[:10]} is not the head of pull request {number}: {what}.", "Read that one.")
        _require_writer(forge)
        written = forge.say(change, approval(commit))
        console.line(f"approved: {commit} of pull request {number}")
        if console.json:
            print(json.dumps({"number": number, "commit": commit, "comment": written.url}, indent=2))
        return EXIT_PASSED


def check(directory: Path, console: Console) -> int:
    """Print the approval of the commit that is checked out, for `MLBUTLER_APPROVED`; return the exit code.

    Raises:
        UsageError: a forge without comments. ForgeError: it could not be asked; and as `begin`.
    """
    environ = dict(os.environ)  # a fork's change is given no credential, and this asks before any of its code runs
    with begin(directory, console, watching=True) as context:
        change = context.record.change
        found = None
        if change.fork and change.number is not None:
            found = find_approval(connect_comment_forge(context, environ), change)
        if console.json:
            said = {"commit": found.commit, "by": found.by} if found else {}
            print(json.dumps({"approved": found is not None, **said}, indent=2))
        elif found is not None:
            print(f"{found.commit} {found.by}")
        if found is None:
            console.error(f"{change.head} is {'not approved' if change.fork else 'not the commit of a fork'}")
        return EXIT_PASSED if found is not None else EXIT_JUDGED


def _require_writer(forge: Hosted) -> None:
    """Raise for a token whose owner's approval would not count."""
    me = forge.me()
    said = objection(forge, Comment(id="", body="", author=me.id, login=me.name, human=not me.program, original=True))
    if said:
        raise UsageError(f"Your approval would not count: {said}.", "Let somebody approve it who may push.")
