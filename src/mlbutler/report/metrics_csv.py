"""The metrics as CSV, a line of names and one of numbers: Jenkins' Plot plugin reads it for a trend over builds."""

from __future__ import annotations

import csv
import io

from mlbutler.escape import escape_invisible
from mlbutler.numbers import as_float
from mlbutler.record import CompareResult, MetricChange, Outcome, Record, Verdict
from mlbutler.report.headline import outcome


def render(record: Record) -> str:
    """Return the numbers that this run measured, '' where there are none."""
    found = {_harmless(name): number for name, number in measured_numbers(record)}
    if not found:
        return ""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows((found.keys(), found.values()))
    return written.getvalue()


def measured_numbers(record: Record) -> list[tuple[str, float]]:
    """Return key and number of what this run measured.

    Those of an output that may be outdated are not among them, nor those of a run that was interrupted.
    """
    compare = record.compare
    if compare is None or outcome(record) is Outcome.INTERRUPTED:
        return []
    return [(m.key, number) for m in compare.metrics if (number := _measured_number(compare, m)) is not None]


def _measured_number(compare: CompareResult, metric: MetricChange) -> float | None:
    outdated = metric.verdict is Verdict.NOT_JUDGED and (metric.file, metric.reason) in compare.not_judged
    return None if outdated or isinstance(metric.new, bool) else as_float(metric.new)


def _harmless(key: str) -> str:
    """Return a metric's key; where a spreadsheet would take it for a formula, its file's path begins with ``./``."""
    key = escape_invisible(key)
    return f"./{key}" if key.startswith(("=", "+", "-", "@")) else key
