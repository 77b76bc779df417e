"""The renderings of a record, by their names, and the files that they are written to."""

from __future__ import annotations

from collections.abc import Callable

from mlbutler.record import Record
from mlbutler.settings import ReportSettings as Settings

FILES = {
    "md": "report.md",
    "html": "report.html",
    "json": "report.json",
    "junit": "report.xml",
    "sarif": "report.sarif",
    "codequality": "codequality.json",
    "verdict": "verdict.txt",
    "verdict-html": "verdict.html",
    "badge": "badge.svg",
    "metrics": "metrics.csv",
    "openmetrics": "metrics.txt",
}
"""Name -> file."""


def render(kind: str, record: Record, settings: Settings) -> str:
    """Return one rendering, '' where the record has nothing for it."""
    from mlbutler import record_file
    from mlbutler.report import annotation_files, build_list, html, junit, markdown, metrics_csv, open_metrics

    makers: dict[str, Callable[[], str]] = {
        "md": lambda: markdown.render(record, settings),
        "html": lambda: html.render(record, settings),
        "json": lambda: record_file.dumps(record),
        "junit": lambda: junit.render(record),
        "sarif": lambda: annotation_files.sarif(record),
        "codequality": lambda: annotation_files.code_quality(record),
        "verdict": lambda: f"{build_list.text(record)}\n",
        "verdict-html": lambda: f"{build_list.html(record)}\n",
        "badge": lambda: build_list.badge(record),
        "metrics": lambda: metrics_csv.render(record),
        "openmetrics": lambda: open_metrics.render(record),
    }
    return makers[kind]()
