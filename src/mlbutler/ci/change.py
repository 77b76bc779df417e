"""Completes what the CI server says with what Git knows: remote, head, merge, target, merge base."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from mlbutler.ci.interface import Facts
from mlbutler.errors import UsageError
from mlbutler.git import Git
from mlbutler.record import Change
from mlbutler.secrets import without_userinfo
from mlbutler.settings import Project


@dataclass(frozen=True)
class _Target:
    branch: str | None
    commit: str | None


def complete(git: Git, facts: Facts, settings: Project, against: str | None) -> Change:
    """See `mlbutler.ci.detect`."""
    checkout = git.head()
    remote = _remote(git, settings.git_remote)
    if facts.kind == "pull-request" and remote and git.is_shallow() and not git.parents(checkout):
        git.fetch(remote, unshallow=True)  # a merge made by the server cannot be told without its parents
    target = _target(git, facts, settings, remote)
    head, merge = _head(git, facts, checkout, target.commit, remote)
    branch = facts.head_branch or (git.branch() if facts.kind == "local" else None)
    fork, branch = _fork(git, facts, head, branch, remote)
    if against:
        base = _merge_base(git, head, _named(git, against, remote), remote)
    elif facts.kind != "pull-request" and branch is not None and branch == target.branch:
        base = _before(git, facts, head, remote)
    else:
        base = _merge_base(git, head, target.commit, remote) if target.commit else None
    return Change(
        ci=facts.ci,
        kind=facts.kind,
        head=head,
        checkout=checkout,
        merge=merge,
        base=base,
        head_branch=branch,
        target_branch=against or target.branch,
        number=facts.number,
        fork=fork,
        title=facts.title,
        author=facts.author or git.author(head),
        url=facts.url,
        build_url=facts.build_url,
        git_remote=remote,
        repository=without_userinfo(git.remote_url(remote)) if remote else "",
        message=git.message(head),
    )


def _remote(git: Git, named: str | None) -> str | None:
    remotes = git.remotes()
    if named is not None:
        if named not in remotes:
            known = ", ".join(remotes) or "none"
            raise UsageError(f"There is no git remote '{named}' (configured: {known}).", "Set project.git_remote.")
        return named
    if "origin" in remotes:
        return "origin"
    return remotes[0] if len(remotes) == 1 else None


# ------------------------------------------------------------------------------------------- target


def _target(git: Git, facts: Facts, settings: Project, remote: str | None) -> _Target:
    named = facts.target_branch or settings.target
    branch = named or _default_branch(git, remote)
    if branch is None:
        return _Target(None, None)
    if remote is None:
        commit = git.resolve(f"refs/heads/{branch}")
    else:
        known = git.resolve(f"refs/remotes/{remote}/{branch}")
        commit = known if facts.kind == "local" and known else _fetched(git, remote, branch) or known
    if commit is None and named:
        raise _no_branch(git, branch, remote)
    return _Target(branch, commit)


def _default_branch(git: Git, remote: str | None) -> str | None:
    if remote is not None:
        done = git.run("symbolic-ref", "--quiet", "--short", f"refs/remotes/{remote}/HEAD", check=False)
        if done.code == 0:
            return done.text.removeprefix(f"{remote}/")
        done = git.run("ls-remote", "--quiet", "--symref", "--", remote, "HEAD", check=False, network=True)
        for line in done.text.splitlines():
            if line.startswith("ref: refs/heads/"):
                return line.split("\t")[0].removeprefix("ref: refs/heads/")
    for branch in ("main", "master"):
        if git.resolve(f"refs/heads/{branch}") or (remote and git.resolve(f"refs/remotes/{remote}/{branch}")):
            return branch
    return None


def _fetched(git: Git, remote: str, branch: str) -> str | None:
    tracking = f"refs/remotes/{remote}/{branch}"
    done = git.fetch(remote, f"+refs/heads/{branch}:{tracking}")
    return git.resolve(tracking) if done.code == 0 else None


def _no_branch(git: Git, branch: str, remote: str | None) -> UsageError:
    names: list[str] = []
    if remote is not None:
        refs = git.remote_refs(remote, "refs/heads/*")  # says so when the remote itself is the trouble
        names = [ref.removeprefix("refs/heads/") for ref in refs]
    near = difflib.get_close_matches(branch, names, n=3, cutoff=0.3)
    hint = f"Near ones: {', '.join(near)}." if near else "Check project.target and the CI server's target."
    return UsageError(f"The target branch '{branch}' does not exist.", hint)


def _named(git: Git, rev: str, remote: str | None) -> str:
    """The commit of a revision that somebody named; fetched as a branch or tag when it is not here."""
    candidates = [rev] + ([f"refs/remotes/{remote}/{rev}"] if remote else [])
    for candidate in candidates:
        if (commit := git.resolve(candidate)) is not None:
            return commit
    if remote is not None:
        if (commit := _fetched(git, remote, rev)) is not None:
            return commit
        if git.fetch(remote, f"refs/tags/{rev}").code == 0 and (commit := git.resolve("FETCH_HEAD")) is not None:
            return commit
    raise UsageError(f"There is no revision '{rev}'.", "Name a branch, a tag or a commit: --against main")


# --------------------------------------------------------------------------------------------- head


def _head(git: Git, facts: Facts, checkout: str, target: str | None, remote: str | None) -> tuple[str, bool]:
    """(the author's head, is `checkout` a merge that the server made)."""
    parents = git.parents(checkout)
    if facts.kind != "pull-request" or len(parents) != 2:
        return checkout, False
    if facts.head is not None:
        if facts.head in parents:
            return facts.head, True
        return checkout, False
    if remote is not None and _is_on(git, remote, checkout):
        return checkout, False  # the author merged; the commit is his
    first_is_target = target is not None and git.is_ancestor(parents[0], target)
    second_is_target = target is not None and git.is_ancestor(parents[1], target)
    if second_is_target and not first_is_target:
        return parents[0], True
    return parents[1], True


def _is_on(git: Git, remote: str, commit: str) -> bool:
    """Does the remote hold the commit on a branch, or as a pull request's head?"""
    if git.run("branch", "--remotes", "--contains", commit, check=False).text.strip():
        return True
    refs = git.run("ls-remote", "--quiet", "--", remote, check=False, network=True)
    pairs = (line.partition("\t") for line in refs.text.splitlines())
    return any(oid == commit and not name.endswith("/merge") for oid, _, name in pairs)


def _fork(git: Git, facts: Facts, head: str, branch: str | None, remote: str | None) -> tuple[bool, str | None]:
    """(is it a fork's change, the head branch in our repository).

    Where the server leaves it open, it is ours only if our repository's branch of that name holds the head:
    a fork's branch may be called like one of ours.
    """
    if facts.fork is not None or facts.kind != "pull-request":
        return bool(facts.fork), branch
    if remote is None:
        return True, branch
    if branch is None:
        refs = git.run("ls-remote", "--quiet", "--heads", "--", remote, check=False, network=True).text
        found = [name.removeprefix("refs/heads/") for oid, _, name in
                 (line.partition("\t") for line in refs.splitlines()) if oid == head]  # fmt: skip
        return not found, found[0] if len(found) == 1 else None
    tip = _fetched(git, remote, branch)
    return tip is None or not (tip == head or git.is_ancestor(head, tip)), branch


# ------------------------------------------------------------------------------------------- bases


def _merge_base(git: Git, head: str, other: str | None, remote: str | None) -> str | None:
    if other is None:
        return None
    base = git.merge_base(head, other)
    if base is None and remote is not None and git.is_shallow():
        git.fetch(remote, unshallow=True)
        base = git.merge_base(head, other)
    return base


def _before(git: Git, facts: Facts, head: str, remote: str | None) -> str | None:
    """What a build of the target branch itself is compared with: the commit before; uncommitted work: HEAD."""
    if facts.kind == "local" and git.dirty():
        return head
    parents = git.parents(head)
    if not parents and remote is not None and git.is_shallow():
        git.fetch(remote, unshallow=True)
        parents = git.parents(head)
    return parents[0] if parents else None
