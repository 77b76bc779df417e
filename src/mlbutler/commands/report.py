"""`mlbutler report --record FILE`: renders a record anywhere, without its project."""

from __future__ import annotations

import json
from pathlib import Path

from mlbutler.console import Console
from mlbutler.errors import UsageError
from mlbutler.record_file import read_record
from mlbutler.settings import ReportSettings


def report(record_path: Path, directory: Path, console: Console) -> int:
    """Write all renderings of the record at `record_path` into `directory`; return the exit code.

    Raises:
        UsageError: there is no record, or it was written by another version.
    """
    from mlbutler.steps.report import write_report

    record = read_record(record_path)
    if record is None:
        raise UsageError(f"No record that this version reads: {record_path}", "Name the record.json of a run.")
    files = write_report(record, ReportSettings(), directory, console.redactor)
    for kind, path in files:
        console.line(f"report ({kind}): {path}")
    if console.json:
        print(json.dumps({"files": {kind: str(path) for kind, path in files}}, indent=2, ensure_ascii=False))
    return 0
