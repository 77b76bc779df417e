"""Completing what the CI server reports from Git: remote, target, head, merge, merge base."""

from __future__ import annotations

from collections.abc import Mapping

from mlbutler.change.access import ORIGIN
from mlbutler.change.head import classify_head, find_head, is_approved
from mlbutler.change.history import History
from mlbutler.ci import facts
from mlbutler.ci.interface import Facts, Target
from mlbutler.errors import UsageError
from mlbutler.git import Git
from mlbutler.git.tree import WorkTreeStatus
from mlbutler.record import Change
from mlbutler.secrets import without_userinfo
from mlbutler.settings import ProjectSettings, Settings
from mlbutler.variables import TRUST

_UNPROVEN = (
    "the CI server does not say whose change this is, and no branch of the repository is known to contain the commit: "
    f"it is taken for a fork's unless {TRUST}=trusted is set in the server's own settings"
)


def detect(git: Git, environ: Mapping[str, str], settings: Settings, against: str | None = None) -> Change:
    """Return the change that this clone and environment are about, fetching the history that the clone lacks.

    Args:
        against: a revision to compare with instead of the target branch.

    Raises:
        UsageError: `against`, or a target branch that was named, does not exist. GitError: git failed.
    """
    return detect_with_tip(git, environ, settings, against)[0]


def detect_with_tip(
    git: Git, environ: Mapping[str, str], settings: Settings, against: str | None = None
) -> tuple[Change, str | None]:
    """Return the change, as `detect` does, and the tip of the remote's branch that it names as its target."""
    return _complete(git, facts(environ), settings.project, against)


def _complete(git: Git, facts: Facts, settings: ProjectSettings, against: str | None) -> tuple[Change, str | None]:
    checkout = git.read_head()
    remote, url = _remote(git, settings.git_remote)
    if facts.fork and not facts.approved:
        git = git.without_credentials()
    history = History(git, remote, fresh=facts.kind != "local")
    files = git.work_tree() if facts.kind == "local" else None
    branch = facts.head_branch or _local_name(facts, remote, files)
    named = facts.target_branch or settings.target
    if files is not None:
        history.load_refs(branch, named)
    if facts.kind != "local" and facts.fork is None:  # then the branch is asked for too, to find out whose it is
        history.fetch_together(named, branch)
    # With `against` the target branch only helps to distinguish a merge from a head: it need not exist.
    target = _target(history, facts, named, needed=against is None)
    head, merge = find_head(history, facts, checkout, branch, target.commit)
    fork, branch = classify_head(history, facts, checkout, head, branch, target)
    approved = facts.approved_by if fork and is_approved(history, facts, checkout, head, target) else ""
    edited = _uncommitted_files(files) if files is not None else ()
    on_target = not against and _is_target_itself(facts, branch, head, target)
    if against:
        base = history.merge_base(head, history.resolve_revision(against))
    elif on_target:
        base = head if files is not None and files.changed else next(iter(history.parents(head)), None)
    else:
        base = history.merge_base(head, target.commit) if target.commit else None
        if base is None and target.commit and facts.kind == "pull-request" and not git.is_shallow():
            raise UsageError(
                f"The pull request has no common history with its target branch '{target.branch}'.",
                f"Rebase it onto {target.branch}, or name a commit to compare with: --against REV.",
            )
    author, message = git.author_and_message(head)
    change = Change(
        ci=facts.ci,
        kind=facts.kind,
        head=head,
        checkout=checkout,
        merge=merge,
        base=base,
        head_branch=None if approved else branch,  # a branch of ours may have the name of the fork's
        target_branch=against or target.branch,
        number=facts.number,
        fork=fork,
        approved=approved,
        title=facts.title,
        author=facts.author or author,
        url=facts.url,
        build_url=facts.build_url,
        git_remote=remote,
        repository=url,
        message=message,
        note="" if approved else facts.note or (_UNPROVEN if fork and not facts.fork else ""),
        on_target=on_target,
        uncommitted=edited[:_MOST_NAMED],
        uncommitted_count=len(edited),
        pushed=facts.kind != "local" or _is_pushed(history, head),
    )
    return change, history.tip(change.target_branch) if change.target_branch else None


_MOST_NAMED = 20


def _uncommitted_files(files: WorkTreeStatus) -> tuple[str, ...]:
    """Return files that differ from HEAD and new ones that Git does not ignore, without those of ``.mlbutler``."""
    return tuple(path for path in (*files.changed, *files.untracked) if ".mlbutler" not in path.split("/"))


def _is_pushed(history: History, head: str) -> bool:
    """Return whether a remote-tracking branch of this clone contains the commit."""
    if history.is_tip(head):
        return True
    return bool(history.git.run("for-each-ref", "--count=1", f"--contains={head}", "refs/remotes").text)


def remote_of(git: Git, named: str | None) -> str | None:
    """Return the name of the git remote in use: the one that is `named`, else origin, else the only one.

    Raises:
        UsageError: there is no remote of that name.
    """
    return _remote(git, named)[0]


def _remote(git: Git, named: str | None) -> tuple[str | None, str]:
    """Return the remote's name, and its address without user name and password."""
    if git.address is not None:  # then a remote's name is only that of its branches in the clone
        return named or ORIGIN, git.address.url
    remotes = git.remotes()
    if named is not None and named not in remotes:
        known = ", ".join(remotes) or "none"
        raise UsageError(f"There is no git remote '{named}' (configured: {known}).", "Set project.git_remote.")
    name = named or (ORIGIN if ORIGIN in remotes else next(iter(remotes)) if len(remotes) == 1 else None)
    return name, without_userinfo(remotes[name]) if name else ""


def _local_name(facts: Facts, remote: str | None, files: WorkTreeStatus | None) -> str | None:
    """Return the head branch's name where the server gives none."""
    if facts.tracking_branch is not None:
        return facts.tracking_branch.removeprefix(f"{remote}/")
    return files.branch if files is not None else None


# ------------------------------------------------------------------------------------------- target


def _target(history: History, facts: Facts, named: str | None, *, needed: bool) -> Target:
    """Return the target branch and its tip; no tip where no branch was named and none can be found.

    Raises:
        UsageError: the branch that was named does not exist. GitError, AccessDenied: it cannot be fetched.
    """
    for branch in (named,) if named else history.default_branches():
        commit = _tip(history, facts, branch, needed=needed and named is not None)
        if commit is not None:
            return Target(branch, commit)
    return Target(named)


def _tip(history: History, facts: Facts, branch: str, *, needed: bool) -> str | None:
    git = history.git
    if facts.kind == "local":
        commit = history.tracking_tip(branch) or history.fetch(branch).commit or history.local_tip(branch)
        if commit is None and needed:
            raise history.unknown_branch_error(branch)
        return commit
    if history.remote is None:
        commit = git.resolve(f"refs/heads/{branch}")
        if commit is None and needed:
            raise history.unknown_branch_error(branch)
        return commit
    fetched = history.fetch(branch)
    if fetched.missing and needed:
        raise history.unknown_branch_error(branch)
    if fetched.commit is not None or fetched.missing:
        return fetched.commit
    known = history.tracking_tip(branch)
    believed = git.access is None or git.access.fresh or git.address is None  # else the clone's refs may be anybody's
    if (known is None or not believed) and needed and not facts.fork:  # a fork's change is given nothing to fetch with
        raise git.failure("fetch", fetched.error)
    return known


# ------------------------------------------------------------------------------------------- bases


def _is_target_itself(facts: Facts, branch: str | None, head: str, target: Target) -> bool:
    if facts.kind == "pull-request":
        return False
    if target.commit is None:  # a laptop with no remote and another name for its only branch
        return facts.kind == "local"
    return branch == target.branch if branch is not None else head == target.commit
