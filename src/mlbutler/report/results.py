"""Where the results of a run are, and how to get them."""

from __future__ import annotations

from mlbutler import numbers
from mlbutler.record import CommitResult, Record
from mlbutler.report import links
from mlbutler.report.links import short
from mlbutler.report.model import Block, CodeBlock, Items, Line, Paragraph, Section, code, link, plain

_NAMED = 10


def commit_line(record: Record) -> Line:
    """Return which commit has the results and how to get them, () where none has."""
    commit = record.commit
    if commit is None or not commit.commit:
        return ()
    where = f" on {commit.branch}" if commit.branch else ""
    how: Line = (plain(", to get with "), *_commands_in_line(_fetch_commands(commit)))
    return (plain("results in "), links.commit(commit.commit, record.change), plain(where), *how)


def tracker_run_line(record: Record) -> Line:
    """Return a link to the results' run on an MLflow server, () where there is none."""
    page = record.commit.tracker_run if record.commit is not None else ""
    return (link("MLflow", page),) if page else ()


def _fetch_commands(commit: CommitResult) -> tuple[str, ...]:
    return (commit.fetch_command,) if commit.fetch_command else ("git pull", "dvc pull")


def _commands_in_line(commands: tuple[str, ...]) -> Line:
    first, *others = (code(command) for command in commands)
    return (first, *(span for other in others for span in (plain(" and "), other)))


def section(record: Record) -> Section | None:
    """Say how to get the results, when they were committed or are at least pushed."""
    commit = record.commit
    if commit is None or not (commit.commit or commit.fetch_command):
        return None
    if not commit.commit:
        pull: Line = (plain(": "), link("the pull request", commit.pull_request)) if commit.pull_request else ()
        said = Paragraph((plain(commit.reason), *pull))
        blocks: tuple[Block, ...] = (said, CodeBlock("To get the results", _fetch_commands(commit)))
        return Section("results", "Get the results", blocks, 82, folded=False)
    names = tuple((code(name),) for name in commit.files[:_NAMED])
    files = (Items(names, left_out=len(commit.files) - len(names)),) if names else ()
    summary = f"{numbers.count(len(commit.files), 'file')} in {short(commit.commit)}"
    return Section("results", "Results commit", (CodeBlock("To get it", _fetch_commands(commit)), *files), 48, summary)
