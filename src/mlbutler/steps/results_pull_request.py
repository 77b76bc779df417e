"""The pull request that brings proposed results into the branch they belong to."""

from __future__ import annotations

import dataclasses

from mlbutler.commitback.propose import PREFIX
from mlbutler.errors import ForgeError, MlbutlerError, UsageError
from mlbutler.forge.interface import Forge
from mlbutler.git import verified as git_verified
from mlbutler.record import Change
from mlbutler.steps.context import RunContext

_TITLE = "Results for {branch}"
_BODY = """Results that mlbutler reproduced for `{branch}`: the files that its stages make and Git keeps.

Each run of that branch updates this pull request, and one that finds nothing to propose removes its branch.
Merge it to have them on the branch; `dvc pull` then brings the data."""


def open_pull_request(work: RunContext, forge: Forge, change: Change) -> str:
    """Open the pull request where the step `commit` proposed results; return a note on it, '' where it did not.

    The record gets its address, for the report. The note says why it could not be opened, too.
    """
    made, branch = work.record.commit, change.head_branch
    if made is None or branch is None or made.proposed != f"{PREFIX}{branch}":
        return ""
    tip = _proposal(work, change, made.proposed)
    if not tip:
        return ""
    name = branch.replace("`", "'")
    asked = dataclasses.replace(change, number=None, head=tip, head_branch=made.proposed, target_branch=branch)
    try:
        pull = forge.open_pull_request(asked, _TITLE.format(branch=name), _BODY.format(branch=name))
    except (ForgeError, UsageError) as error:
        return f"{error.message.rstrip('.')}: open a pull request of {made.proposed} into {branch} by hand"
    work.record = dataclasses.replace(work.record, commit=dataclasses.replace(made, pull_request=pull.url))
    return f"results proposed in pull request {pull.number}"


def _proposal(work: RunContext, change: Change, name: str) -> str:
    """Return the commit that the branch of proposals has right on what was judged, '' for none.

    The record may be anybody's: Git and its remote have to say the same.
    """
    if change.git_remote is None:
        return ""
    try:
        tip = work.git.fetch_one(change.git_remote, f"refs/heads/{name}") or ""
        return tip if git_verified.parents(git_verified.read(work.git, [tip]).get(tip, b"")) == [change.head] else ""
    except MlbutlerError:
        return ""
