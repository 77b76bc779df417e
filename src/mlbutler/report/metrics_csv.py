"""The metrics as CSV, a line of names and one of numbers: Jenkins' Plot plugin reads it for a trend over builds."""

from __future__ import annotations

import csv
import io

from mlbutler.numbers import as_float
from mlbutler.record import CompareResult, MetricChange, Outcome, Record, Verdict
from mlbutler.report.escape import visible
from mlbutler.report.headline import outcome


def render(record: Record) -> str:
    """Return the numbers that this run measured, '' where there are none.

    Those of an output that may be outdated are not among them, nor those of a run that was interrupted.
    """
    compare = record.compare
    if compare is None or outcome(record) is Outcome.INTERRUPTED:
        return ""
    found = {_name(m): number for m in compare.metrics if (number := _measured(compare, m)) is not None}
    if not found:
        return ""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows((found.keys(), found.values()))
    return written.getvalue()


def _measured(compare: CompareResult, metric: MetricChange) -> float | None:
    outdated = metric.verdict is Verdict.NOT_JUDGED and (metric.file, metric.reason) in compare.not_judged
    return None if outdated or isinstance(metric.new, bool) else as_float(metric.new)


def _name(metric: MetricChange) -> str:
    """Return the metric's key; where a spreadsheet would take it for a formula, its file's path begins with ``./``."""
    key = visible(metric.key)
    return f"./{key}" if key.startswith(("=", "+", "-", "@")) else key
