"""`mlbutler report --record FILE`: renders a record anywhere, without its project."""

from __future__ import annotations

import json
import os
from pathlib import Path

from mlbutler.console import Console
from mlbutler.errors import UsageError
from mlbutler.record import Record
from mlbutler.record_file import read_record, redacted_record
from mlbutler.record_file import record_path as path_of_record
from mlbutler.settings import ReportSettings


def print_rendering(root: Path, record_path: Path | None, form: str, console: Console) -> int:
    """Print one rendering of a record, by default that of the project's last run; return the exit code.

    Raises:
        UsageError: there is no record, or it was written by another version.
    """
    from mlbutler.record_ended import close_record
    from mlbutler.report.renderings import render
    from mlbutler.settings import load

    settings = ReportSettings()
    if record_path is None:
        settings = load(root, os.environ).settings.report
        record_path = path_of_record(root, settings.name)
    record = redacted_record(close_record(_read_record(record_path)), console.redactor)
    print(render(form, record, settings), end="")
    return 0


def _read_record(path: Path) -> Record:
    record = read_record(path)
    if record is None:
        raise UsageError(f"No record that this version reads: {path}", "Name the record.json of a run.")
    return record


def report(record_path: Path, directory: Path, console: Console, *, shown: bool = False) -> int:
    """Write all renderings of the record at `record_path` into `directory`; return the exit code.

    Args:
        shown: open the page in a browser.

    Raises:
        UsageError: there is no record, or it was written by another version.
    """
    from mlbutler.steps.report import write_report

    files = write_report(_read_record(record_path), ReportSettings(), directory, console.redactor)
    for kind, path in files:
        console.line(f"report ({kind}): {path}")
    if shown:
        console.open(dict(files)["html"])
    if console.json:
        print(json.dumps({"files": {kind: str(path) for kind, path in files}}, indent=2, ensure_ascii=False))
    return 0
