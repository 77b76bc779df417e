"""Which of two commits is the newer one."""

from __future__ import annotations

from collections.abc import Callable

from mlbutler.errors import MlbutlerError
from mlbutler.git import Git
from mlbutler.record import Change


def is_older(git: Git, change: Change) -> Callable[[str], bool]:
    """Return a function that says whether our head is older than a given commit.

    A commit that the clone lacks is fetched once. Where neither is an ancestor of the other (a force-push), the one
    that the branch has now is newer, whatever its date.
    """
    remote = change.git_remote
    branch = f"refs/heads/{change.head_branch}" if remote and change.head_branch else ""

    def older(other: str) -> bool:
        if not _is_commit_id(other):
            return False
        if git.resolve(other) is None and remote and branch:
            git.fetch(remote, branch)
        if git.resolve(other) is None or git.is_ancestor(other, change.head):
            return False
        return git.is_ancestor(change.head, other) or is_replaced_by(other)

    def is_replaced_by(other: str) -> bool:
        if not remote or not branch:
            return False
        try:
            tip = git.remote_refs(remote, branch).get(branch)
        except MlbutlerError:
            return False
        if tip is not None and git.resolve(tip) is None:
            git.fetch(remote, branch)
        return tip is not None and git.is_ancestor(other, tip) and not git.is_ancestor(change.head, tip)

    return older


def _is_commit_id(text: str) -> bool:
    return len(text) in (40, 64) and all(c in "0123456789abcdef" for c in text)
