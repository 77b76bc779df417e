"""Propose results on a branch of their own, for a pull request into the branch that they belong to.

There is one for each branch. A later run replaces what it holds; when nothing is left to propose, or the branch that it
is for is gone, it goes.
"""

from __future__ import annotations

from mlbutler.commitback.build import CommitBuilder
from mlbutler.commitback.earlier import REPRODUCED
from mlbutler.commitback.push_results import refusal
from mlbutler.frozen import frozen
from mlbutler.git import Git
from mlbutler.git.repository import RefMove

PREFIX = "mlbutler/results/"
_TRIES = 4
_MOST_ASKED = 50


@frozen
class Proposal:
    """The commit on the branch `name`; '' and the reason where it could not be put there."""

    name: str
    commit: str = ""
    reason: str = ""


def is_proposal(branch: str) -> bool:
    """Return whether a branch holds proposed results: nothing is proposed for it in turn."""
    return branch.startswith(PREFIX)


def propose(build: CommitBuilder, remote: str, branch: str, head: str) -> Proposal:
    """Put a results commit for `head` on the branch of proposals, in place of an earlier one.

    Raises:
        AccessDenied: the remote refused the credentials. GitError: it cannot be reached.
    """
    git, name = build.git, f"{PREFIX}{branch}"
    ref, into = f"refs/heads/{name}", f"refs/heads/{branch}"
    for _ in range(_TRIES):
        refs = git.remote_refs(remote, ref, into)
        if refs.get(into) != head:
            return Proposal(
                name, reason=f"the branch {branch} moved meanwhile: its next build proposes its own results"
            )
        there = refs.get(ref, "")
        if there:
            git.fetch(remote, ref)
            if git.resolve(there) is None:
                continue  # it moved between the two questions
            if not _is_ours(git, there):
                return Proposal(name, reason=f"the branch {name} holds what mlbutler did not propose")
            if git.parents(there) == (head,) and build.is_in(there):
                return Proposal(name, there)
        commit = build(head)
        done, answers = git.move_refs(remote, [RefMove(ref, commit, there)])
        if done.code == 0:
            return Proposal(name, commit)
        if ref not in answers:
            raise Git.failure("push", done.err)
        if (said := refusal(done)) is not None:
            return Proposal(name, reason=f"the remote refused the push: {said}")
    return Proposal(name, reason=f"the branch {name} moved {_TRIES} times in a row")


def withdraw(git: Git, remote: str, branch: str) -> bool:
    """Remove what was proposed for a branch that lacks nothing any more; return whether there was anything.

    Raises:
        AccessDenied: the remote refused the credentials. GitError: it cannot be reached.
    """
    ref = f"refs/heads/{PREFIX}{branch}"
    there = git.fetch_one(remote, ref)
    if there is None or not _is_ours(git, there):
        return False
    _, answers = git.move_refs(remote, [RefMove(ref, "", there)])
    return answers.get(ref) == ""


def withdraw_orphans(git: Git, remote: str) -> tuple[str, ...]:
    """Remove what was proposed for branches that are not there any more; return these branches.

    Raises:
        AccessDenied: the remote refused the credentials. GitError: it cannot be reached.
    """
    proposed = git.remote_refs(remote, f"refs/heads/{PREFIX}*")
    branches = [ref.removeprefix(f"refs/heads/{PREFIX}") for ref in proposed][:_MOST_ASKED]
    there = git.remote_refs(remote, *[f"refs/heads/{branch}" for branch in branches]) if branches else {}
    gone = [branch for branch in branches if f"refs/heads/{branch}" not in there]
    return tuple(branch for branch in gone if withdraw(git, remote, branch))


def _is_ours(git: Git, commit: str) -> bool:
    return REPRODUCED in git.trailers(commit)
