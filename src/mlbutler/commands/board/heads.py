"""The refs of a clone that lead to experiments: branches, pull requests, DVC's experiments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlbutler.commitback.report_branch import PREFIX as REPORTS
from mlbutler.errors import AccessDenied, GitError
from mlbutler.experiments.refs import PREFIX
from mlbutler.experiments.shared import SharedExperiments
from mlbutler.git import Git

FETCHED = "refs/mlbutler/board/"
"""Where `fetch` puts the remote's refs: none of the user's own moves, and DVC sees no experiment of others."""

_BROUGHT = ("heads/", "pull/", "merge-requests/", "pull-requests/", "exps/")
_PULL = re.compile(r"(?:pull|merge-requests|pull-requests)/(\d+)/(?:head|from)|(?:PR|MR|pull|pr)[-/](\d+)(?:/head)?")
_EXPERIMENT = re.compile(r"exps/([0-9a-f]{2})/([0-9a-f]{38}(?:[0-9a-f]{24})?)/([^/]+)")


@dataclass(frozen=True)
class Head:
    """A ref: where it leads, and what it is called.

    Attributes:
        name: of the branch or the experiment. pull: a pull request's number, else ''. baseline: of an experiment.
    """

    ref: str
    commit: str
    name: str
    pull: str = ""
    baseline: str = ""


def heads(git: Git, remote: str | None) -> tuple[Head, ...]:
    """Return every branch, pull request and experiment that the clone has, each commit under one name once.

    Args:
        git: at the repository's root. remote: the Git remote's name, None without one.
    """
    fetched = f"{FETCHED}{remote}/"
    places = ["refs/remotes", fetched, *(f"refs/{kind}" for kind in _BROUGHT)]
    lines = git.run("for-each-ref", "--format=%(objectname) %(objecttype) %(refname)", *places).text.splitlines()
    found: dict[tuple[str, str, str], Head] = {}
    for oid, kind, ref in (line.split(" ", 2) for line in lines):
        head = _head(ref, oid, fetched, remote) if kind == "commit" else None
        if head is not None:
            found.setdefault((head.commit, head.name, head.pull), head)
    return tuple(found.values())


def _head(ref: str, oid: str, fetched: str, remote: str | None) -> Head | None:
    name = ref.removeprefix(fetched).removeprefix("refs/")
    if match := _EXPERIMENT.fullmatch(name):
        return Head(ref, oid, match[3], baseline=match[1] + match[2])
    if name.startswith("exps/"):  # DVC's own, such as its stash
        return None
    if name.startswith("remotes/"):
        name = name.removeprefix(f"remotes/{remote}/").removeprefix("remotes/")
    if match := _PULL.fullmatch(name):
        return Head(ref, oid, name, pull=match[1] or match[2])
    if name == "HEAD" or name.startswith(("pull/", "merge-requests/", "pull-requests/")):  # GitHub's test merges
        return None
    branch = name.removeprefix("heads/")
    return None if branch.startswith(REPORTS) else Head(ref, oid, branch)


def fetch(git: Git, remote: str) -> Iterator[str]:
    """Bring the remote's branches, pull requests and experiments; yield why some could not be brought."""
    patterns = [f"refs/{kind}*" for kind in _BROUGHT]
    try:
        there = git.remote_refs(remote, *patterns)
    except (GitError, AccessDenied) as error:
        yield f"Git's remote could not be asked: {error.message}"
        return
    for kind in _BROUGHT:
        into = f"{FETCHED}{remote}/{kind}"
        if _has(there, f"refs/{kind}") or git.run("for-each-ref", "--count=1", into).text:
            done = git.mirror_refs(remote, f"refs/{kind}", into)
            if done.code != 0:
                yield f"refs/{kind} could not be fetched: {Git.failure('fetch', done.err).message}"
    try:
        if git.remote_refs(remote, f"{PREFIX}*"):
            SharedExperiments(git, remote).survey()
    except (GitError, AccessDenied) as error:
        yield f"States of experiments could not be fetched: {error.message}"


def _has(refs: dict[str, str], prefix: str) -> bool:
    return any(ref.startswith(prefix) for ref in refs)


def branches(found: Sequence[Head]) -> list[Head]:
    """Return those that are no experiments, pull requests last: a branch's own name says more."""
    return sorted((head for head in found if not head.baseline), key=lambda head: bool(head.pull))
