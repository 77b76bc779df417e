"""What a report has to say of lines of files: failing tests, linters' findings, code that no stage declares."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from mlbutler.escape import escape_invisible, log_line
from mlbutler.frozen import frozen
from mlbutler.record import Record
from mlbutler.report.findings import grouped

MOST = 500
"""Annotations in all: beyond, a reader wants the tool's own output."""

_TEXT_LIMIT = 1000
_TITLE_LIMIT = 120
# What linters write: "a.py:3:5: F401 ...", "a.py:3: error: ...", "a.R(3,5): ...", and ruff's and rustc's "--> a.py:3:5"
_LINE = re.compile(
    r"^\s*(?:--> )?(?P<path>[^\s:()][^:()]*\.\w+)"
    r"(?::(?P<line>\d+)(?::\d+)?|\((?P<other>\d+)(?:,\d+)?\)):?\s*(?P<said>.*)$"
)
_LONGEST_LINE = 500
_LOCK = "dvc.lock"


@frozen
class Annotation:
    """A remark on a line of a file, by its path from the repository's root. All text is raw, on one line."""

    path: str
    line: int
    level: Literal["failure", "warning"]
    rule: str
    title: str
    message: str


def remarks(record: Record) -> tuple[Annotation, ...]:
    """Return the remarks, the gravest first, `MOST` at most."""
    found = dict.fromkeys((*_tests(record), *_checks(record), *_lint(record), *_undeclared_dependencies(record)))
    return tuple(found)[:MOST]


def _tests(record: Record) -> Iterator[Annotation]:
    for case in record.test.failed_cases if record.test else ():
        if case.line is not None:
            yield from _remark(record, case.file, case.line, "failure", "test", f"{case.name} failed", case.message)


def _checks(record: Record) -> Iterator[Annotation]:
    for finding in grouped(record.check.findings) if record.check else ():
        said = f"{finding.subject}: {finding.problem}. To fix it: {finding.remedy}"
        yield from _remark(record, _LOCK, 1, "failure", f"check-{finding.check}", f"Check {finding.check}", said)


def _lint(record: Record) -> Iterator[Annotation]:
    for run in record.lint.runs if record.lint else ():
        before = ""
        for line in run.tail if run.exit_code != 0 else ():
            clean = log_line(line, _LONGEST_LINE)
            if match := _LINE.match(clean):
                number = int((match["line"] or match["other"])[:9])
                said = match["said"] or before or run.command
                yield from _remark(record, match["path"], number, "failure", "lint", f"lint: {run.command}", said)
            before = clean.strip()


def _undeclared_dependencies(record: Record) -> Iterator[Annotation]:
    for change in record.compare.code if record.compare else ():
        if change.undeclared:
            uses = "; ".join(f"{stage}: {why}" for stage, why in change.undeclared)
            said = f"Used and not declared: {uses}. DVC does not run these stages again when the file changes."
            yield from _remark(record, change.path, 1, "warning", "undeclared", "A dependency is not declared", said)


def _remark(
    record: Record, path: str, line: int, level: Literal["failure", "warning"], rule: str, title: str, message: str
) -> Iterator[Annotation]:
    """Yield the annotation unless the file is outside the project: programs write paths of their own there."""
    folder = record.project.strip("/")
    path = path.removeprefix("./")
    whole = f"{folder}/{path}" if folder else path
    strange = "\\" in whole or escape_invisible(whole) != whole or ".." in whole.split("/")
    if not path or path.startswith("/") or strange or line < 1:
        return
    yield Annotation(
        whole, line, level, rule, escape_invisible(title, _TITLE_LIMIT), escape_invisible(message, _TEXT_LIMIT) or rule
    )
