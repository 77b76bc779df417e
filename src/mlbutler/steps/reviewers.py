"""The forge of a run: connecting to it, finding the pull request, and a status that the run is in progress."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial

from mlbutler import record_file
from mlbutler.errors import MlbutlerError, UsageError
from mlbutler.forge import detect
from mlbutler.forge.hosted import Hosted
from mlbutler.forge.http import ApiRetryPolicy
from mlbutler.forge.interface import CommitStatus, Forge
from mlbutler.forge.opening import NoToken, Opening
from mlbutler.forge.registry import open_forge
from mlbutler.record import Change, Outcome, Record
from mlbutler.record_ended import close_record
from mlbutler.settings import ForgeSettings as Settings
from mlbutler.settings import settings_at
from mlbutler.steps.comment_settings import agreed_comment_settings
from mlbutler.steps.context import RunContext

STATES = {
    Outcome.PASSED: CommitStatus.SUCCESS,
    Outcome.SKIPPED: CommitStatus.SUCCESS,
    Outcome.FAILED: CommitStatus.FAILURE,
    Outcome.ERROR: CommitStatus.ERROR,
    Outcome.NOT_KNOWN: CommitStatus.ERROR,
    Outcome.INTERRUPTED: CommitStatus.CANCELED,
}
_QUICK = ApiRetryPolicy(attempts=2, pause=0.5, longest=5, connect=5, read=10)


def connect_forge(context: RunContext, policy: ApiRetryPolicy | None = None) -> Forge | None:
    """Return the forge that the settings, the CI server or the clone name, None when none does.

    Raises:
        SettingsError: a setting is missing, or the change brought one that sends the token elsewhere.
        NoToken: there is no token for it.
    """
    change = context.record.change
    there = detect.locate_forge(context.settings.forge, context.environ, change)
    if there is None:
        return None
    detect.require_agreed(context.loaded, there, change, context.environ, lambda: _settings_before(context))
    opening = Opening(
        place=there, environ=context.environ, root=context.root, say=context.console.line, policy=policy,
        check=context.symlinks.check_inside,
        refs=partial(context.git.remote_refs, change.git_remote) if change.git_remote else None,
        behavior=agreed_comment_settings(context).behavior,
    )  # fmt: skip
    return open_forge(opening)


def connect_comment_forge(context: RunContext, environ: Mapping[str, str]) -> Hosted:
    """Return the forge whose people write comments.

    Args:
        environ: has the token, also where a fork's change is given none.

    Raises:
        UsageError: there is none, or it is a folder; and as `connect_forge`.
    """
    forge = connect_forge(dataclasses.replace(context, environ=environ))
    if not isinstance(forge, Hosted):
        raise UsageError(
            "There is no forge with comments here.", "Set forge.kind and forge.url (`mlbutler help forges`)."
        )
    return forge


def _settings_before(context: RunContext) -> list[Settings]:
    """Return the settings of the target branch and of the merge base."""
    found = [settings_at(partial(_file_at, context, revision)) for revision in context.trust.target_revisions or ()]
    return [settings.forge for settings in found if settings is not None]


def _file_at(context: RunContext, revision: str, name: str) -> bytes | None:
    return context.git.show(revision, context.prefix + name)


def with_pull_request(context: RunContext, forge: Forge) -> Change:
    """Return the change with its pull request's number, asking the forge where the CI server gave none.

    Raises:
        ForgeError, GitError: the forge, or Git's remote, cannot be asked.
        UsageError: several pull requests hold the commit.
    """
    change = context.record.change
    if change.number is not None:
        return change
    pull = forge.pull_request(change)
    if pull is None:
        return change
    return dataclasses.replace(change, number=pull.number, url=pull.url, title=change.title or pull.title)


def record_to_publish(context: RunContext, change: Change) -> Record:
    """Return the record with `change` in it and without secrets, as that of a finished run."""
    return record_file.redacted_record(
        dataclasses.replace(close_record(context.record), change=change), context.console.redactor
    )


def announce(context: RunContext, state: CommitStatus, sentence: str) -> None:
    """Set a status that is not yet the verdict. A failure is only printed: it must not stop a run."""
    from mlbutler.report.build import title

    change = context.record.change
    if not context.trusted or change.kind == "local":
        return
    try:
        forge = connect_forge(context, _QUICK)
        if forge is not None and forge.capabilities.statuses:
            forge.status(change, title(context.record), state, sentence, change.build_url)
    except NoToken:
        return  # `publish` says so
    except MlbutlerError as error:
        context.console.line(f"No status for now: {error.message}")
