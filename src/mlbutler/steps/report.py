"""Writing the renderings of the record to files."""

from __future__ import annotations

from pathlib import Path

from mlbutler import atomic, record_file
from mlbutler.errors import OutsideError, SettingsError
from mlbutler.record import Outcome, Record, ReportResult
from mlbutler.record_ended import close_interrupted_record, close_record
from mlbutler.secrets import Redactor
from mlbutler.settings import ReportSettings
from mlbutler.steps.context import RunContext

_SUMMARY = "GITHUB_STEP_SUMMARY"
_LONGEST_SUMMARY = 1024 * 1024
"""Bytes that GitHub shows of a step."""


def run(context: RunContext, *, aborted: bool = False) -> ReportResult:
    """Write report.md, report.html and what else is made from the record alone.

    Args:
        aborted: the CI server aborted the build: steps without a result count as interrupted.

    Raises:
        SettingsError: ``report.directory`` leaves the project. OutsideError: the files cannot be written.
        PathRefused: its path contains a link.
    """
    if aborted:
        context.record = close_interrupted_record(context.record)
        context.progress.own_steps |= {
            name for name, result in context.record.steps() if result.outcome is Outcome.INTERRUPTED
        }
    setting = context.settings.report.directory
    context.symlinks.check_inside(context.root / setting)
    directory = _directory(context.root, setting)
    files = write_report(context.record, context.settings.report, directory, context.console.redactor)
    if not context.trusted:
        _write_bundle(context)
    _summarise(context, dict(files)["md"])
    place = directory.relative_to(context.root.resolve()).as_posix()
    return ReportResult(
        outcome=Outcome.PASSED,
        reason=f"written to {place}",
        files=tuple((kind, f"{place}/{path.name}") for kind, path in files),
    )


def _write_bundle(context: RunContext) -> None:
    """Write what a trusted job can publish of a fork's change.

    Raises:
        OutsideError: the file cannot be written.
    """
    from mlbutler.bundle import NAME, pack_bundle  # which forks' reports alone need

    path = context.root / ".mlbutler" / NAME
    try:
        atomic.write(path, pack_bundle(close_record(context.record), context.console.redactor))
    except OSError as error:
        raise OutsideError(f"Cannot write {path}: {error.strerror or error}.", "Make it writable.") from error


def _summarise(context: RunContext, report: Path) -> None:
    """Add the report to the summary of the job's page, where the CI server has one: GitHub and Gitea Actions.

    Without it the report is among the artifacts, so that a file which cannot be written is only reported.
    """
    name = context.environ.get(_SUMMARY, "")
    if not name or context.environ.get("GITHUB_ACTIONS") != "true":
        return
    text = report.read_bytes()
    try:
        with Path(name).open("ab") as file:
            file.write(text if len(text) <= _LONGEST_SUMMARY else _shorter(context))
    except OSError as error:
        context.console.line(f"The job's page has no summary: {error.strerror or error}")


def _shorter(context: RunContext) -> bytes:
    from mlbutler.report import markdown

    record = record_file.redacted_record(close_record(context.record), context.console.redactor)
    limits = markdown.Limits(_LONGEST_SUMMARY, "bytes")
    return markdown.render(record, context.settings.report, limits).encode("utf-8", "replace")


def write_report(
    record: Record, settings: ReportSettings, directory: Path, redactor: Redactor
) -> tuple[tuple[str, Path], ...]:
    """Render `record` into `directory`; return (kind, file).

    Raises:
        OutsideError: the files cannot be written.
    """
    from mlbutler.report.renderings import FILES, render

    # Hidden before rendering: escaping could split a secret so that nothing finds it any more.
    record = record_file.redacted_record(close_record(record), redactor)
    files = tuple((kind, directory / name, render(kind, record, settings)) for kind, name in FILES.items())
    try:
        for _, path, text in files:
            if text:
                atomic.write(path, text.encode("utf-8"), durable=False)  # it can be made again from the record
            else:
                path.unlink(missing_ok=True)  # of an earlier run
    except OSError as error:
        raise OutsideError(
            f"Cannot write the report to {directory}: {error.strerror or error}.",
            "Make the directory writable, or name another one.",
        ) from error
    return tuple((kind, path) for kind, path, text in files if text)


def _directory(root: Path, setting: str) -> Path:
    """Return the report's directory, refusing one outside the project: a pull request may have set it."""
    base = root.resolve()
    directory = (base / setting).resolve()
    if directory == base or not directory.is_relative_to(base) or ".git" in directory.relative_to(base).parts:
        raise SettingsError(
            f"report.directory must be a directory inside the project, not '{setting}'.",
            "Set report.directory to a path such as .mlbutler/report.",
        )
    return directory
