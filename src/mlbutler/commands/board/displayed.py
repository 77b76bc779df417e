"""Which commits are experiments, and which commit each is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlbutler.commands.board.heads import Head, branches
from mlbutler.commitback.earlier import BUILD, REPRODUCED
from mlbutler.git import Git
from mlbutler.git.log import LoggedCommit, log

_ONE_BY_ONE = "--no-walk=unsorted"
_READ = (BUILD, REPRODUCED)


@dataclass(frozen=True)
class DisplayedCommit:
    """A commit that is shown.

    Attributes:
        branch: '' for one that only an experiment has. pull: a pull request's number, else ''. experiment: its name,
            '' for a commit of a branch. baseline: the commit that it is compared with, '' for none.
    """

    commit: LoggedCommit
    branch: str = ""
    pull: str = ""
    experiment: str = ""
    baseline: str = ""


@dataclass(frozen=True)
class BoardQuery:
    """What is asked for: the target branch, its tip, how many commits of each, and whether merged ones too."""

    target: str
    tip: str
    most: int
    merged: bool


def pick(
    git: Git, found: Sequence[Head], wanted: BoardQuery
) -> tuple[tuple[DisplayedCommit, ...], tuple[LoggedCommit, ...]]:
    """Return the commits to show, and further ones that they are compared with.

    The target branch's own history follows first parents, so that a merged pull request counts once.
    """
    limit = f"--max-count={wanted.most}"
    target = log(git, [wanted.tip], "--first-parent", limit, trailers=_READ)
    others = _others(git, branches(found), wanted, limit, {commit.oid for commit in target})
    saved = {head.commit: head for head in found if head.baseline}
    experiments = log(git, saved, _ONE_BY_ONE, trailers=_READ)
    picked = [DisplayedCommit(commit, wanted.target, baseline=_parent(commit)) for commit in target]
    picked += others
    picked += [
        DisplayedCommit(commit, experiment=saved[commit.oid].name, baseline=saved[commit.oid].baseline)
        for commit in experiments
        if commit.oid in saved
    ]
    shown = {one.commit.oid for one in picked}
    missing = _present_commits(git, {one.baseline for one in picked} - shown - {""})
    return tuple(picked), log(git, missing, _ONE_BY_ONE, trailers=_READ)


def _others(git: Git, found: Sequence[Head], wanted: BoardQuery, limit: str, target: set[str]) -> list[DisplayedCommit]:
    options = [limit] if wanted.merged else [limit, "--first-parent"]
    by_ref = {head.ref: head for head in found}
    names = [*by_ref, "HEAD", *([wanted.tip] if wanted.merged else [])]
    without = () if wanted.merged else (wanted.tip,)
    commits = [c for c in log(git, names, *options, without=without, trailers=_READ) if c.oid not in target]
    pulls = {head.commit: head.pull for head in found if head.pull}
    parents = {commit.oid: _parent(commit) for commit in commits}
    number: dict[str, str] = {}
    for commit in commits:  # newest first: what a pull request's tip stands on is of it as well
        head = by_ref.get(commit.source)
        own = pulls.get(commit.oid) or number.get(commit.oid) or (head.pull if head is not None else "")
        if own:
            number[commit.oid] = own
            number.setdefault(parents[commit.oid], own)
    begun: dict[str, str] = {}
    for commit in reversed(commits):
        begun[commit.oid] = begun.get(parents[commit.oid], parents[commit.oid])
    return [
        DisplayedCommit(
            commit, _name(by_ref.get(commit.source)), number.get(commit.oid, ""), baseline=begun[commit.oid]
        )
        for commit in commits
    ]


def _name(head: Head | None) -> str:
    return head.name if head is not None else "HEAD"


def _parent(commit: LoggedCommit) -> str:
    return commit.parents[0] if commit.parents else ""


def _present_commits(git: Git, oids: Iterable[str]) -> list[str]:
    """Return those of the commits that the clone has."""
    asked = sorted(oids)
    if not asked:
        return []
    text = "".join(f"{oid}\n" for oid in asked).encode()
    lines = git.run("cat-file", "--batch-check=%(objecttype)", input=text).text.splitlines()
    return [oid for oid, kind in zip(asked, lines, strict=True) if kind == "commit"]
