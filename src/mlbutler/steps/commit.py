"""Commit dvc.lock and metrics onto the pull request's branch: exactly those, and only as a fast-forward."""

from __future__ import annotations

import dataclasses
import posixpath
import shlex
from collections.abc import Iterable, Sequence

from mlbutler.commitback.build import Author, CommitBuilder, message
from mlbutler.commitback.files import FileRefused, Results, collect, find_changed_files, from_root
from mlbutler.commitback.propose import is_proposal, propose, withdraw
from mlbutler.commitback.push_results import (
    RESULTS,
    PushOutcome,
    concerns,
    push_results,
    push_to_own_ref,
)
from mlbutler.first_few import first_few
from mlbutler.git import Git
from mlbutler.project.paths import dependency_paths, result_paths
from mlbutler.record import Change, CommitResult, Outcome, Record, StageRun
from mlbutler.settings import Settings
from mlbutler.steps.context import RunContext


def run(context: RunContext) -> CommitResult:
    """Commit what the reproduction changed, if this run may.

    Raises:
        AccessDenied: the remote refused the credentials. GitError: it cannot be reached.
        UsageError: its address is only in the clone's own configuration.
        SettingsError: commit.author or commit.paths is of the wrong form.
    """
    if (skipped := _skip_by_record(context.git, context.record)) is not None:
        return skipped
    git = context.git.at(context.git.toplevel())
    if git.holds_only(context.record.change.checkout):  # whatever the project declares
        return _nothing_result(git, context)
    paths = (*result_paths(context.project.stages), *find_changed_files(context.git, context.settings.commit.paths))
    declared = _from_root(context.prefix, paths)
    try:
        results = collect(git, context.record.change.checkout, declared)
    except FileRefused as refused:
        return _skipped_result(f"not committed: {refused.reason}", refused.remedy)
    if not results.changed:
        return _nothing_result(git, context)
    if context.record.change.kind == "local":
        depended = _from_root(context.prefix, dependency_paths(context.project.stages))
        inputs = [path for path in git.dirty(untracked=True) if concerns(path, depended)]
        return _by_hand_result(
            context.prefix, results.changed, [path for path in inputs if path not in results.changed]
        )
    if (skipped := _skip_merge_or_unpushed(context)) is not None:
        return skipped
    depended = _from_root(context.prefix, dependency_paths(context.project.stages))
    if (skipped := _skip_if_edited(git, context.prefix, depended, declared)) is not None:
        return skipped
    from mlbutler.project.leftovers import take_out

    if gone := take_out(context.root, context.project.stages.orphans):
        results = collect(git, context.record.change.checkout, declared)
    done = _commit_results(git, context, results, (*depended, *declared))
    return (
        dataclasses.replace(done, reason=f"{done.reason}; taken out of dvc.lock: {first_few(gone)}") if gone else done
    )


def _from_root(prefix: str, paths: Iterable[str]) -> tuple[str, ...]:
    full = (from_root(prefix, path) for path in paths)
    return tuple(dict.fromkeys(path for path in full if path is not None))


# ------------------------------------------------------------------------------------ may this run?


def _skip_by_record(git: Git, record: Record) -> CommitResult | None:
    change, reproduce = record.change, record.reproduce
    if change.fork:
        return _skipped_result("a fork's change: its branch is not ours to write")
    if reproduce is not None and reproduce.outcome not in (Outcome.PASSED, Outcome.SKIPPED):
        return _skipped_result("the reproduction did not pass: partial results are not committed", reproduce.remedy)
    if change.kind == "local":
        return None
    if change.git_remote is None or change.head_branch is None or not git.is_branch_name(change.head_branch):
        return _skipped_result(
            "the branch to commit onto is not known",
            "Build the branch in a multibranch job, or set BRANCH_NAME to its name.",
        )
    if is_proposal(change.head_branch):
        return _skipped_result("this branch holds proposed results: nothing is committed onto it")
    if reproduce is None or reproduce.outcome is Outcome.SKIPPED:
        return _skipped_result(f"nothing was reproduced{': ' + reproduce.reason if reproduce else ''}")
    if reproduce.always_changes:
        return _skipped_result(
            f"not deterministic: always changes: {', '.join(reproduce.always_changes)}",
            "Fix the seeds of these stages, or write nothing that differs from run to run.",
        )
    if reproduce.stale_again:
        first = reproduce.stale_again[0]
        return _skipped_result(f"stale again as soon as it ran: {first.subject} ({first.problem})", first.remedy)
    return None


def _skip_merge_or_unpushed(context: RunContext) -> CommitResult | None:
    change = context.record.change
    if change.merge and context.settings.commit.on_merge == "refuse":
        return _skipped_result(
            "what was reproduced is a merge that the CI server made, not the branch",
            "Let the CI server check out the pull request's head, or set commit.on_merge = 'head'."
            f"{_describe_same_merge(context.record)}",
        )
    if not _are_pushed(context):
        push = context.record.push
        return _skipped_result(
            f"the results are not on the DVC remote{': ' + push.reason if push else ''}",
            (push.remedy if push else "") or "Run `mlbutler push` first.",
        )
    return None


def _describe_same_merge(record: Record) -> str:
    """Return how to get results that cannot be committed: DVC's run cache restores them for the same inputs."""
    change, push = record.change, record.push
    if not (change.target_branch and push is not None and push.run_cache):
        return ""
    target = shlex.quote(f"{change.git_remote}/{change.target_branch}")
    merged = f"git fetch && git merge {target}"
    return f" To get these: {merged} && mlbutler sync && mlbutler reproduce, which restores them."


def _are_pushed(context: RunContext) -> bool:
    """Return whether a colleague can pull what the commit will name."""
    push, project = context.record.push, context.project
    project.reload()
    nowhere = any(
        artifact.oid is not None
        and artifact.cached
        and artifact.pushed
        and not (artifact.remote or project.remote_name)
        for artifact in project.artifacts()
    )
    if nowhere or push is None:
        return False
    if push.outcome is Outcome.PASSED:
        return True
    return not any(artifact.cached and artifact.pushed for artifact in project.artifacts())  # Git has everything


def _skip_if_edited(git: Git, prefix: str, depended: Sequence[str], declared: Sequence[str]) -> CommitResult | None:
    """Return the refusal where the tree differs from the head, for example because a linter fixed a file."""
    edited = [
        path
        for path in git.dirty()
        if concerns(path, depended) and not concerns(path, declared) and not path.startswith(f"{prefix}.dvc/")
    ]
    if not edited:
        return None
    return _skipped_result(
        f"what was reproduced is not the commit: {', '.join(edited[:3])} differ from it",
        "See which step of the build edits these files.",
    )


# --------------------------------------------------------------------------------------- committing


def _commit_results(git: Git, context: RunContext, results: Results, touched: Sequence[str]) -> CommitResult:
    change, settings = context.record.change, context.settings.commit
    branch, remote = change.head_branch, change.git_remote
    assert branch is not None
    assert remote is not None
    if change.merge:
        files = results.for_parent(git, change.head)
    else:
        files = {path: results.files[path] for path in results.changed}
    from mlbutler.steps import tracked

    files |= tracked.tracking_files(context, git, change.head, touched)
    text = message(settings.message, change, _stages(context.record), _runs(context.record))
    build = CommitBuilder(git, files, text, Author.parse(settings.author))
    if settings.way == "pull-request":
        return _propose_results(context, build, remote, branch)
    placed = push_results(build, remote, branch, change.head, touched)
    if placed.reason:
        return _keep_results(build, change, remote, branch, placed)
    if placed.found:
        reason = f"{branch} holds these results already, in {placed.commit[:10]}"
    else:
        count = "1 file" if len(files) == 1 else f"{len(files)} files"
        reason = f"{count} on {branch} as {placed.commit[:10]}"
        reason += "" if placed.parent == change.head else ", on top of what was pushed meanwhile"
    attested, said = _attest_results(context, placed.commit)
    return CommitResult(
        outcome=Outcome.PASSED,
        reason=reason + said,
        commit=placed.commit,
        parent=placed.parent,
        branch=branch,
        files=tuple(files),
        attested=attested,
    )


def _attest_results(context: RunContext, commit: str) -> tuple[tuple[str, ...], str]:
    if context.record.change.kind == "local":  # what somebody's own code made here; `mlbutler verify` shows what it is
        return (), ""
    from mlbutler.steps.attesting import attest_reproduced

    return attest_reproduced(context, commit)


def _stages(record: Record) -> list[str]:
    reproduce = record.reproduce
    return [run.name for run in (reproduce.stages if reproduce else ()) if run.outcome in ("ran", "restored")]


def _runs(record: Record) -> tuple[StageRun, ...]:
    return record.reproduce.stages if record.reproduce is not None else ()


def _keep_results(build: CommitBuilder, change: Change, remote: str, branch: str, placed: PushOutcome) -> CommitResult:
    ref, problem = push_to_own_ref(build, remote, change.head)
    command = f"git fetch {shlex.quote(remote)} {ref} && git cherry-pick FETCH_HEAD && dvc pull" if ref else ""
    return CommitResult(
        outcome=Outcome.SKIPPED,
        reason=f"{placed.reason}; nor could they be kept under {RESULTS}: {problem}" if problem else placed.reason,
        remedy=command or "The results are on the DVC remote and in this record; the next run takes them from there.",
        branch=branch,
        files=tuple(build.files),
        fetch_command=command,
    )


def _propose_results(context: RunContext, build: CommitBuilder, remote: str, branch: str) -> CommitResult:
    """Return what is proposed: the branch has it only when somebody has merged it."""
    change = context.record.change
    made = propose(build, remote, branch, change.head)
    if not made.commit:
        return _keep_results(build, change, remote, branch, PushOutcome(reason=made.reason))
    attested, said = _attest_results(context, made.commit)
    count = "1 file" if len(build.files) == 1 else f"{len(build.files)} files"
    into = f"{shlex.quote(remote)} {shlex.quote(f'refs/heads/{made.name}')}"
    return CommitResult(
        outcome=Outcome.SKIPPED,
        reason=f"{count} proposed for {branch} on {made.name} as {made.commit[:10]}{said}",
        remedy=f"Merge the pull request of {made.name} into {branch}.",
        branch=branch,
        files=tuple(build.files),
        fetch_command=f"git fetch {into} && git merge FETCH_HEAD && dvc pull",
        proposed=made.name,
        attested=attested,
    )


def _nothing_result(git: Git, context: RunContext) -> CommitResult:
    attested, said = _attest_results(context, context.record.change.head)
    said = f"{_withdraw_proposal(git, context.record, context.settings)}{said}"
    reason = f"nothing to commit: the results are those of the commit{said}"
    return CommitResult(outcome=Outcome.PASSED, reason=reason, attested=attested)


def _withdraw_proposal(git: Git, record: Record, settings: Settings) -> str:
    """Remove a proposal that is no longer needed; return that, as the rest of a sentence."""
    change = record.change
    remote, branch = change.git_remote, change.head_branch
    if settings.commit.way != "pull-request" or change.kind == "local" or remote is None or branch is None:
        return ""
    return "; what was proposed for it is withdrawn" if withdraw(git, remote, branch) else ""


def _by_hand_result(prefix: str, changed: Sequence[str], inputs: Sequence[str]) -> CommitResult:
    """Return what the user has to commit: the results and what they were made from, so that both belong together."""
    own, made_from = ([posixpath.relpath(path, prefix or ".") for path in paths] for paths in (changed, inputs))
    command = f"git add -- {' '.join(map(shlex.quote, (*own, *made_from)))} && git commit"
    reason = f"on a laptop you commit yourself: {first_few(own, 5)}"
    reason += f"; and what they were made from: {first_few(made_from, 5)}" if made_from else ""
    return CommitResult(outcome=Outcome.SKIPPED, reason=reason, remedy=command, files=tuple(changed))


def _skipped_result(reason: str, remedy: str = "") -> CommitResult:
    return CommitResult(outcome=Outcome.SKIPPED, reason=reason, remedy=remedy)
