"""Finding out what is checked out: the author's head, a merge that the CI server made, or a fork's commit."""

from __future__ import annotations

import re

from mlbutler.change.history import History
from mlbutler.ci.interface import Facts, Target
from mlbutler.errors import UsageError

# Where forges keep merges of their own making; a CI server may have fetched one as a remote-tracking ref.
_FORGE_MERGE = re.compile(r".*(?:pull|pull-requests|merge-requests)/\d+/(?:merge|train)")


def find_head(
    history: History, facts: Facts, checkout: str, branch: str | None, target: str | None
) -> tuple[str, bool]:
    """Return (the author's head, whether `checkout` is a merge that the server made).

    Args:
        branch: the head branch's name. target: the target branch's tip.

    Raises:
        UsageError: the target branch is checked out instead of the pull request.
    """
    if facts.kind == "local" or facts.head == checkout:
        return checkout, False
    git = history.git
    parents = history.parents(checkout) if facts.kind == "pull-request" else git.parents(checkout)
    if len(parents) != 2:
        _refuse_target(history, facts, checkout, target)
        return checkout, False
    if facts.head in parents:
        return facts.head, True
    if _is_on_remote(history, facts, checkout, branch):
        _refuse_target(history, facts, checkout, target)
        return checkout, False  # the author merged; the commit is theirs
    return _head_among(history, facts, parents, branch, target), True


def _head_among(
    history: History, facts: Facts, parents: tuple[str, ...], branch: str | None, target: str | None
) -> str:
    git = history.git
    if target is not None:
        others = [parent for parent in parents if not git.is_ancestor(parent, target)]
        if len(others) == 1:
            return others[0]
    tip = history.fetch(branch).commit if branch is not None and not facts.fork else None
    if tip is not None:
        authored = [parent for parent in parents if git.is_ancestor(parent, tip)]
        if len(authored) == 1:
            return authored[0]
    return parents[facts.head_parent]


def _is_on_remote(history: History, facts: Facts, commit: str, branch: str | None) -> bool:
    git, remote = history.git, history.remote
    if remote is None:
        return False
    refs = git.run("for-each-ref", f"--contains={commit}", "--format=%(refname)", f"refs/remotes/{remote}/")
    if any(not _FORGE_MERGE.fullmatch(name) for name in refs.text.splitlines()):
        return True
    if branch is not None and not facts.fork:
        tip = history.fetch(branch).commit
        if tip is not None and git.is_ancestor(commit, tip):
            return True
    done = git.ask(remote)
    pairs = (line.partition("\t") for line in done.text.splitlines())
    return any(oid == commit and not _FORGE_MERGE.fullmatch(name) for oid, _, name in pairs)


def _refuse_target(history: History, facts: Facts, checkout: str, target: str | None) -> None:
    """Raise where GitHub's `pull_request_target` checked out the target branch instead of the pull request."""
    if facts.head is None or target is None or history.git.is_ancestor(facts.head, checkout):
        return
    if history.git.is_ancestor(checkout, target):
        raise UsageError(
            f"The target branch is checked out ({checkout[:10]}), not the pull request's head ({facts.head[:10]}).",
            "Run on `pull_request`, not on `pull_request_target`.",
        )


def classify_head(
    history: History, facts: Facts, checkout: str, head: str, branch: str | None, target: Target
) -> tuple[bool, str | None]:
    """Return (whether it is a fork's change, the head branch).

    Where the server does not say, the change is ours only if our repository's branch of that name contains the
    head: a fork's branch may have the name of one of ours. Remote-tracking refs prove nothing here, since a server
    may have fetched a fork's head as ``origin/PR-7``. A pull request from the target branch into itself can
    only be a fork's. The checkout must be the head, or have the tree that git itself gives for the merge: a fork's
    own commit may have our branches as its parents.
    """
    if facts.fork or (facts.fork is False and facts.ours_at in (None, checkout)):
        return bool(facts.fork), branch
    if history.remote is None:
        return not facts.ours_unless_asked, branch
    if facts.kind != "pull-request":
        ours = _is_on_a_branch(history, head, branch, target)
    elif branch is None:
        ours, branch = _branch_of(history, head, target.branch)
    elif branch == target.branch:
        return True, branch
    else:
        fetched = history.fetch(branch)
        if facts.ours_unless_asked and fetched.error:
            return False, branch
        ours = fetched.commit is not None and history.git.is_ancestor(head, fetched.commit)
    return not ours or not (facts.ours_unless_asked or _is_merge_of_ours(history, checkout, head, target)), branch


def is_approved(history: History, facts: Facts, checkout: str, head: str, target: Target) -> bool:
    """Return whether what is checked out is the commit that was approved, or git's own merge of it with the target."""
    return facts.approved == head and _is_merge_of_ours(history, checkout, head, target)


def _is_on_a_branch(history: History, head: str, branch: str | None, target: Target) -> bool:
    """Return whether a branch of our repository contains the commit."""
    named = history.fetch(branch).commit if branch is not None else None
    tips = [tip for tip in (named, target.commit) if tip is not None]
    return any(history.git.is_ancestor(head, tip) for tip in tips) or head in _heads(history).values()


def _is_merge_of_ours(history: History, checkout: str, head: str, target: Target) -> bool:
    """Return whether `checkout` is the head, or git's own merge of it with a commit of the target branch."""
    if checkout == head:
        return True
    git, others = history.git, [parent for parent in history.parents(checkout) if parent != head]
    if len(others) != 1 or target.commit is None or not git.is_ancestor(others[0], target.commit):
        return False
    history.merge_base(head, others[0])  # brings what a shallow clone lacks of the two
    merged = git.merge_tree(head, others[0])
    return merged is not None and merged == git.tree_id(checkout)


def _branch_of(history: History, head: str, target: str | None) -> tuple[bool, str | None]:
    """Return (whether the head is the tip of a branch of our repository, that branch's name if it is the only one)."""
    names = [name for name, tip in _heads(history).items() if tip == head and name != target]
    return bool(names), names[0] if len(names) == 1 else None


def _heads(history: History) -> dict[str, str]:
    """Return the branches that our repository has now, and their tips."""
    assert history.remote is not None
    done = history.git.ask(history.remote, "--heads")
    pairs = (line.partition("\t") for line in done.text.splitlines())
    return {name.removeprefix("refs/heads/"): oid for oid, _, name in pairs}
