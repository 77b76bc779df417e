"""The pull request that brings proposed results into the branch they belong to."""

from __future__ import annotations

import dataclasses

from mlbutler.commitback.propose import PREFIX, withdraw_orphans
from mlbutler.errors import ForgeError, MlbutlerError, UsageError
from mlbutler.first_few import first_few
from mlbutler.forge.interface import Forge, NotOffered
from mlbutler.git import Git
from mlbutler.git import verified as git_verified
from mlbutler.record import Change, Outcome
from mlbutler.steps.context import RunContext

_NO_COMMIT = "0" * 40
"""Asked for in place of a commit: the branch alone tells which pull request is meant."""
_TITLE = "Results for {branch}"
_BODY = """Results that mlbutler reproduced for `{branch}`: the files that its stages make and Git keeps.

Each run of that branch updates this pull request, and one that finds nothing to propose removes its branch.
Merge it to have them on the branch; `dvc pull` then brings the data."""


def open_pull_request(context: RunContext, forge: Forge, change: Change) -> str:
    """Open the pull request where the step `commit` proposed results, else close what is not needed any more.

    Returns:
        a note on that, '' for nothing.

    The record gets its address, for the report. The note says why it could not be opened, too.
    """
    made, branch = context.record.commit, change.head_branch
    if made is None or branch is None or made.proposed != f"{PREFIX}{branch}":
        return _close_unneeded(context, forge, change)
    tip = _proposal(context.git, change, made.proposed)
    if not tip:
        return ""
    name = branch.replace("`", "'")
    asked = dataclasses.replace(change, number=None, head=tip, head_branch=made.proposed, target_branch=branch)
    try:
        pull = forge.open_pull_request(asked, _TITLE.format(branch=name), _BODY.format(branch=name))
    except (ForgeError, UsageError) as error:
        return f"{error.message.rstrip('.')}: open a pull request of {made.proposed} into {branch} by hand"
    context.record = dataclasses.replace(context.record, commit=dataclasses.replace(made, pull_request=pull.url))
    return f"results proposed in pull request {pull.number}"


def _close_unneeded(context: RunContext, forge: Forge, change: Change) -> str:
    """Close pull requests of results that nobody needs any more; return a note on them, '' where there was none.

    The branch of what was proposed here is gone where nothing was left to propose; not every forge closes its pull
    request then. Nor does every forge where the branch is gone that it was for, such as one that was merged.
    """
    made, branch, remote = context.record.commit, change.head_branch, change.git_remote
    if context.settings.commit.way != "pull-request" or change.kind == "local" or remote is None:
        return ""
    settled = made is not None and made.outcome is Outcome.PASSED and branch is not None
    try:
        stale = [*withdraw_orphans(context.git, remote), *([branch] if settled and branch else [])]
        asked = [dataclasses.replace(change, number=None, head=_NO_COMMIT, head_branch=f"{PREFIX}{name}",
                                     target_branch=name) for name in stale]  # fmt: skip
        closed = [number for one in asked for number in forge.close_pull_requests(one)]
    except NotOffered:
        return ""
    except MlbutlerError as error:
        return f"pull requests of results that are not needed any more may be open: {error.message.rstrip('.')}"
    return f"closed, since nothing of it is needed: pull request {first_few(closed)}" if closed else ""


def _proposal(git: Git, change: Change, name: str) -> str:
    """Return the commit that the branch of proposals has right on what was judged, '' for none.

    The record may be anybody's: Git and its remote have to say the same.
    """
    if change.git_remote is None:
        return ""
    try:
        tip = git.fetch_one(change.git_remote, f"refs/heads/{name}") or ""
        content = git_verified.read_objects(git, [tip]).get(tip, b"")
        return tip if git_verified.parents(content) == [change.head] else ""
    except MlbutlerError:
        return ""
