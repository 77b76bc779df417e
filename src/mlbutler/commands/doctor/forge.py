"""`mlbutler doctor --forge`: is the forge found, whose is the token, and may it do what `publish` does."""

from __future__ import annotations

from collections.abc import Iterator

from mlbutler.commands.doctor.examined import Examined
from mlbutler.errors import MlbutlerError
from mlbutler.forge import detect
from mlbutler.forge.hosted import Hosted
from mlbutler.forge.http import RequestRefused
from mlbutler.forge.interface import CommitStatus, Forge
from mlbutler.record import Change
from mlbutler.report.marker import marker
from mlbutler.steps.context import RunContext
from mlbutler.steps.reviewers import connect_forge, with_pull_request

_TITLE = "mlbutler doctor"
_UNKNOWN_COMMIT = (400, 404, 422)


def examine_forge(context: RunContext) -> Iterator[Examined]:
    """Examine address, token, pull request, status, comment.

    A status and a comment are written; the comment is removed.
    """
    if not context.trusted:
        yield Examined("forge", "note", "a fork's change publishes nothing and has no token")
        return
    try:
        forge = connect_forge(context)
        there = detect.locate_forge(context.settings.forge, context.environ, context.record.change)
    except MlbutlerError as error:
        yield Examined("forge", "missing", error.message, error.remedy)
        return
    if forge is None or there is None:
        yield Examined("forge", "note", "none was found", "Set forge.kind and forge.url (`mlbutler help forges`).")
        return
    yield Examined("forge", "ok", f"{forge.name}: {there.url}" + (f", {there.repository}" if there.repository else ""))
    if not isinstance(forge, Hosted):
        return
    try:
        me = forge.me()
        change = with_pull_request(context, forge)
    except MlbutlerError as error:
        yield Examined("token", "missing", error.message, error.remedy)
        return
    yield Examined("token", "ok", f"of {me.name}" if me.name else "the forge does not say whose it is")
    if change.number:
        yield Examined("pull request", "ok", change.number)
    else:
        yield Examined("pull request", "note", "none of this commit or branch is open")
    yield _status(forge, change)
    yield _comment(forge, change)


def _status(forge: Forge, change: Change) -> Examined:
    if not forge.capabilities.statuses:
        return Examined("status", "note", f"none is set: {forge.capabilities.no_status}")
    try:
        forge.status(change, _TITLE, CommitStatus.SUCCESS, "The token may set statuses", change.build_url)
    except RequestRefused as error:
        if error.status in _UNKNOWN_COMMIT and change.ci == "local":
            return Examined("status", "note", f"not set: {error.message}", "Push the commit, then try again.")
        return Examined("status", "missing", error.message, error.remedy)
    except MlbutlerError as error:
        return Examined("status", "missing", error.message, error.remedy)
    return Examined("status", "ok", f"'{_TITLE}' was set on {change.head[:10]}")


def _comment(forge: Hosted, change: Change) -> Examined:
    if change.number is None:
        return Examined("comment", "note", "not tried without a pull request", "Run on the branch of an open one.")
    mark = marker(_TITLE, change.head, html=forge.capabilities.html)
    body = f"A test comment of `mlbutler doctor`, removed at once.\n\n{mark}\n"
    try:
        forge.adapter.delete(change, forge.adapter.create(change, body))
    except MlbutlerError as error:
        return Examined("comment", "missing", error.message, error.remedy)
    return Examined("comment", "ok", "one was written and removed")
