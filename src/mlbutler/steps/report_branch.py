"""The report on a branch, where no comment can be written, or none that folds."""

from __future__ import annotations

from collections.abc import Callable

from mlbutler.forge.interface import Capabilities
from mlbutler.record import Change
from mlbutler.steps.context import RunContext
from mlbutler.steps.reviewers import redacted

_PREFIX = "mlbutler/report-"


def leave(work: RunContext, change: Change, takes: Capabilities, is_older: Callable[[str], bool]) -> tuple[str, str]:
    """Put the report, with its pictures, on the pull request's report branch.

    Args:
        takes: what the forge understands that shows it.

    Returns:
        the branch, '' without a git remote or a name for it; the newer commit whose report is kept there, or ''.

    Raises:
        AccessDenied, GitError: the branch cannot be written.
    """
    from mlbutler.commitback.build import Author
    from mlbutler.commitback.report_branch import ReportBranch
    from mlbutler.forge.folder import file_name
    from mlbutler.report import build, markdown, pictures

    name = f"{_PREFIX}{change.number}"
    if change.number is None or change.git_remote is None or not work.git.is_branch_name(name):
        return "", ""
    report = build.build(redacted(work, change), work.settings.report)
    files = {file.name: file.content for file in pictures.of_report(report)}
    limits = markdown.Limits(html=takes.html, folds=takes.folds)
    text = markdown.fit(report, limits, {name: name for name in files})
    git = work.git.at(work.git.toplevel())
    branch = ReportBranch(git, change.git_remote, name, Author.parse(work.settings.commit.author))
    newer = branch.publish(file_name(report.title), files | {"README.md": text.encode("utf-8", "replace")},
                         change.head, is_older)  # fmt: skip
    return name, newer
