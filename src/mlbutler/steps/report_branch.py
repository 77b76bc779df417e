"""The report on a branch, where no comment can be written, or none that folds or takes pictures."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import field
from urllib.parse import quote

from mlbutler.commitback.report_branch import PREFIX
from mlbutler.errors import AccessDenied, GitError
from mlbutler.first_few import first_few
from mlbutler.forge.interface import Capabilities
from mlbutler.frozen import frozen
from mlbutler.numbers import count
from mlbutler.record import Change
from mlbutler.steps.comment_settings import agreed_comment_settings
from mlbutler.steps.context import RunContext
from mlbutler.steps.reviewers import record_to_publish


@frozen
class BranchReport:
    """The report as it is on a branch.

    Attributes:
        branch: '' where there is none. newer: the newer commit whose report is kept there, or ''.
        pictures: name -> address at which the forge shows it.
    """

    branch: str = ""
    newer: str = ""
    pictures: Mapping[str, str] = field(default_factory=dict)


def publish_report(
    context: RunContext, change: Change, takes: Capabilities, is_older: Callable[[str], bool]
) -> BranchReport:
    """Put the report, with its pictures, on the pull request's report branch; remove branches that are too old.

    There is none without a git remote or a name for it.

    Args:
        takes: what the forge understands that shows it.

    Raises:
        AccessDenied, GitError: the branch cannot be written.
    """
    from mlbutler.commitback.build import Author
    from mlbutler.commitback.report_branch import ReportBranch
    from mlbutler.forge.folder import file_name
    from mlbutler.report import build, markdown, pictures

    name = f"{PREFIX}{change.number}"
    if change.number is None or change.git_remote is None or not context.git.is_branch_name(name):
        return BranchReport()
    report = build.build(record_to_publish(context, change), context.settings.report)
    files = {file.name: file.content for file in pictures.of_report(report)}
    limits = markdown.Limits(html=takes.html, folds=takes.folds)
    text = markdown.fit(report, limits, {name: name for name in files})
    git = context.git.at(context.git.toplevel())
    branch = ReportBranch(git, change.git_remote, name, Author.parse(context.settings.commit.author))
    folder = file_name(report.title)
    done = branch.publish(folder, files | {"README.md": text.encode("utf-8", "replace")}, change.head, is_older)
    _prune(context, change.git_remote, name)
    if done.newer or not takes.raw:
        return BranchReport(name, done.newer)
    paths = {file: quote(f"{folder}/{file}") for file in files}
    raw = takes.raw.replace("{commit}", done.commit)
    return BranchReport(name, pictures={file: raw.replace("{path}", path) for file, path in paths.items()})


def _prune(context: RunContext, remote: str, name: str) -> None:
    """Remove report branches that are too old. That it fails is no reason to publish nothing."""
    from mlbutler.commitback.report_branch import prune

    keep = agreed_comment_settings(context).keep
    if not keep:
        return
    try:
        gone = prune(context.git, remote, PREFIX, time.time() - keep, name)
    except (AccessDenied, GitError) as error:
        context.console.line(f"Old report branches stay: {error.message}")
        return
    if gone:
        context.console.line(
            f"{count(len(gone), 'old report branch', 'old report branches')} removed: {first_few(list(gone))}"
        )
