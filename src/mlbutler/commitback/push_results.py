"""Push a results commit to the remote's branch, only ever as a fast-forward.

When the author pushed meanwhile, it goes on top of the new tip if nothing that a stage depends on changed
between; else it is kept under a ref of its own, from which anybody can take it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection

from mlbutler.commitback.build import CommitBuilder
from mlbutler.commitback.earlier import REPRODUCED
from mlbutler.errors import AccessDenied, GitError
from mlbutler.first_few import first_few
from mlbutler.frozen import frozen
from mlbutler.git import Done, Git

RESULTS = "refs/mlbutler/results/"
_TRIES = 6
_PAUSE = 0.2
_LOOK_BACK = "100"
# What a server answers when somebody else's push came first.
_ANSWERED = re.compile(r"\[(remote )?rejected\]")
_RACE = re.compile(
    r"\[rejected\]|non-fast-forward|fetch first|stale info|cannot lock ref|failed to (update|lock) ref"
    r"|incorrect old value|reference already exists|is at [0-9a-f]+ but expected",
    re.IGNORECASE,
)


@frozen
class PushOutcome:
    """What became of the commit.

    Attributes:
        commit, parent: the commit on the branch and what it stands on; '' when the branch could not take it.
        found: the branch held these results already.
        reason: why the branch could not take it.
    """

    commit: str = ""
    parent: str = ""
    found: bool = False
    reason: str = ""


def push_results(build: CommitBuilder, remote: str, branch: str, head: str, touched: Collection[str]) -> PushOutcome:
    """Push the results commit.

    Args:
        touched: paths of files and folders, from the repository's root, that stages depend on or that results
            go to; a push that changes one of these outdates the results.

    Raises:
        AccessDenied: the remote refused the credentials. GitError: it cannot be reached.
    """
    git, ref = build.git, f"refs/heads/{branch}"
    for attempt in range(_TRIES):
        time.sleep(_PAUSE * attempt)
        tip = git.remote_refs(remote, ref).get(ref)
        if tip is None:
            return PushOutcome(reason=f"the branch {branch} is gone")
        if tip != head:
            git.fetch(remote, ref)
            if git.resolve(tip) is None:
                continue  # it moved again between the two questions
            if not git.is_ancestor(head, tip):
                return PushOutcome(reason=f"the branch {branch} was rewritten meanwhile")
            if build.is_in(tip):
                commit = _find_results_commit(git, head, tip)
                return PushOutcome(commit, next(iter(git.parents(commit)), ""), found=True)
            if changed := [path for path in git.changed_paths(head, tip) if concerns(path, touched)]:
                return PushOutcome(
                    reason="the branch moved meanwhile and changed what the results stand on: "
                    + f"{first_few(changed)}"
                )
        commit = build(tip)
        done = git.push(remote, commit, ref, expected=tip)
        if done.code == 0:
            return PushOutcome(commit, tip)
        if (said := refusal(done)) is not None:
            return PushOutcome(reason=f"the remote refused the push: {said}")
    return PushOutcome(reason=f"the branch {branch} moved {_TRIES} times in a row")


def _find_results_commit(git: Git, head: str, tip: str) -> str:
    """Return the results commit for `head` below `tip`; `tip` itself where somebody made the same files otherwise."""
    for commit in git.run("rev-list", f"--max-count={_LOOK_BACK}", f"{head}..{tip}").text.split():
        if git.trailers(commit).get(REPRODUCED) == head:
            return commit
    return tip


def refusal(done: Done) -> str | None:
    """Return why the remote does not take the push; None when somebody was faster.

    Raises:
        AccessDenied, GitError: it was no answer to this ref.
    """
    answer = next((line for line in done.text.splitlines() if line.startswith("!")), "")
    if not _ANSWERED.search(answer):
        raise Git.failure("push", done.err)
    # A branch that is protected, say, whatever the words: the credentials were taken, and may do for other refs.
    if _RACE.search(answer):
        return None
    said = [line.removeprefix("remote:").strip() for line in done.err.splitlines() if line.startswith("remote:")]
    return "; ".join([answer.split("\t")[-1], *filter(None, said)][:4])


def concerns(path: str, touched: Collection[str]) -> bool:
    """Return whether the changed `path` is one of `touched`, below one, or a folder or submodule that holds one."""
    if path.rpartition("/")[2] == ".dvcignore":
        return True
    return any(path == item or path.startswith(f"{item}/") or item.startswith(f"{path}/") for item in touched)


def push_to_own_ref(build: CommitBuilder, remote: str, head: str) -> tuple[str, str]:
    """Push the commit to a ref of its own; return (the ref, ''), or ('', why the remote takes none)."""
    git, ref = build.git, f"{RESULTS}{head}"
    commit = build(head)
    if git.push(remote, commit, ref, expected="").code == 0:
        return ref, ""
    if (there := git.fetch_one(remote, ref)) is not None and build.is_in(there):
        return ref, ""  # an earlier build of this head kept the same
    ref = f"{ref}-{commit[:12]}"
    done = git.push(remote, commit, ref, expected="")
    if done.code == 0:
        return ref, ""
    try:
        return "", refusal(done) or "somebody else's push came first"
    except (AccessDenied, GitError) as error:
        return "", error.message
