"""Commit dvc.lock and metrics onto the pull request's branch: exactly those, and only as a fast-forward."""

from __future__ import annotations

from collections.abc import Iterator

from mlbutler.commit_back import RESULTS, Author, Build, changed_files, keep, place
from mlbutler.record import CommitResult, Outcome
from mlbutler.steps.work import Work


def run(work: Work) -> CommitResult:
    """Commit what the reproduction changed, if this run may.

    Raises:
        AccessDenied: the remote refused the credentials. GitError: it cannot be reached.
        SettingsError: commit.author is of the wrong form.
    """
    if (refusal := _refusal(work)) is not None:
        return refusal
    change, settings, project = work.record.change, work.settings.commit, work.project
    project.reload()
    extra = [path.relative_to(work.root).as_posix() for pattern in settings.paths for path in work.root.glob(pattern)]
    results = (*project.result_paths(), *extra)
    files = changed_files(work.git, change.head, work.prefix, work.root, results)
    if not files:
        return CommitResult(outcome=Outcome.PASSED, reason="nothing to commit: the branch has these results already")
    names = tuple(files)
    if change.kind == "local":
        return _skipped(
            f"on a laptop you commit yourself: {', '.join(names[:5])}",
            "git add " + " ".join(_quoted(path) for path in _own(work, names)) + " && git commit",
        )
    branch, remote = change.head_branch, change.git_remote
    assert branch is not None
    assert remote is not None
    build = Build(work.git, work.prefix, work.root, files, _message(work), Author.parse(settings.author))
    touched = [work.prefix + path for path in (*project.dependency_paths(), *results)]
    placed = place(work.git, remote, branch, change.head, build, touched)
    if not placed.reason:
        return CommitResult(
            outcome=Outcome.PASSED, reason=f"{placed.commit[:10]} on {branch}: {len(files)} files",
            commit=placed.commit, parent=placed.parent, branch=branch, files=names,
        )  # fmt: skip
    ref = f"{RESULTS}{change.head}"
    kept = keep(work.git, remote, change.head, placed.commit)
    command = f"git fetch {remote} {ref} && git cherry-pick FETCH_HEAD && dvc pull" if kept else ""
    return CommitResult(
        outcome=Outcome.SKIPPED,
        reason=placed.reason,
        remedy=command or "The results are on the DVC remote; run the pull request again.",
        branch=branch,
        files=names,
        fetch_command=command,
    )


def _refusal(work: Work) -> CommitResult | None:
    """Why nothing may be committed, None when it may."""
    record, change = work.record, work.record.change
    reproduce, push = record.reproduce, record.push
    if change.fork:
        return _skipped("a fork's branch is not ours to write")
    if reproduce is None or reproduce.outcome is Outcome.SKIPPED:
        return _skipped(f"nothing was reproduced{': ' + reproduce.reason if reproduce else ''}")
    if reproduce.outcome is not Outcome.PASSED:
        return _skipped("the reproduction did not pass: half of a result is not committed")
    if reproduce.always_changes:
        return _skipped(
            f"not deterministic: always changes: {', '.join(reproduce.always_changes)}",
            "Fix the seeds of these stages, or write nothing that differs from run to run.",
        )
    if change.kind == "local":
        return None
    if push is None or push.outcome is not Outcome.PASSED:
        return _skipped("the results are not on the DVC remote", "Configure a remote, or see why push failed.")
    if change.merge and work.settings.commit.on_merge == "refuse":
        return _skipped(
            "what was reproduced is a merge that the CI server made, not the branch",
            "Let CI check out the pull request's head, or set commit.on_merge = 'head'.",
        )
    if change.head_branch is None or change.git_remote is None:
        return _skipped("the branch to commit onto is not known", "Use a multibranch job, or set BRANCH_NAME.")
    return None


def _skipped(reason: str, remedy: str = "") -> CommitResult:
    return CommitResult(outcome=Outcome.SKIPPED, reason=reason, remedy=remedy)


def _own(work: Work, names: tuple[str, ...]) -> Iterator[str]:
    return (name[len(work.prefix) :] for name in names)


def _quoted(path: str) -> str:
    import shlex

    return shlex.quote(path)


def _message(work: Work) -> str:
    """The commit message with its trailers. Only {head} and {short} are filled in, by plain replacement."""
    change, reproduce = work.record.change, work.record.reproduce
    title = work.settings.commit.message.replace("{head}", change.head).replace("{short}", change.head[:10])
    ran = [stage.name for stage in (reproduce.stages if reproduce else ()) if stage.outcome in ("ran", "restored")]
    trailers = [f"Mlbutler-Reproduced: {change.head}"]
    if change.merge:
        trailers.append(f"Mlbutler-Checkout: {change.checkout}")
    if ran:
        trailers.append("Mlbutler-Stages: " + " ".join(", ".join(ran).split()))
    return f"{title.strip() or 'Update results'}\n\n" + "\n".join(trailers) + "\n"
