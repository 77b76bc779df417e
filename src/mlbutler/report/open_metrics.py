"""The metrics as OpenMetrics text, which GitLab's `artifacts:reports:metrics` compares in a merge request."""

from __future__ import annotations

from mlbutler.escape import escape_invisible
from mlbutler.record import Record
from mlbutler.report.metrics_csv import measured_numbers


def render(record: Record) -> str:
    """Return one sample for each number that this run measured, '' where there are none."""
    lines = [f'mlbutler_metric{{name="{_escaped(name)}"}} {number!r}' for name, number in measured_numbers(record)]
    return "\n".join(("# TYPE mlbutler_metric gauge", *lines, "# EOF")) + "\n" if lines else ""


def _escaped(name: str) -> str:
    return escape_invisible(name).replace("\\", r"\\").replace('"', r"\"")
