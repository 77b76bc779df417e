"""The two files that DagsHub makes its table of experiments of: a commit that holds them is a row there."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

import yaml

from mlbutler.record import Scalar

METRICS, PARAMS = "metrics.csv", "params.yml"
MARK = b"# Written by mlbutler"
"""How `PARAMS` begins: files without it beside them are the project's own."""


def metrics_csv(metrics: Mapping[str, float], when: int) -> bytes:
    """Return one row for each number, all of one step.

    Args:
        when: milliseconds since 1970.
    """
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    rows.writerow(("Name", "Value", "Timestamp", "Step"))
    rows.writerows((name, repr(number), when, 1) for name, number in sorted(metrics.items()))
    return written.getvalue().encode("utf-8", "replace")


def params_yml(params: Mapping[str, Scalar]) -> bytes:
    """Return the parameters by their dotted names."""
    text = yaml.safe_dump(dict(sorted(params.items())), allow_unicode=True) if params else ""
    return MARK + b" with the results, for trackers that read Git.\n" + text.encode("utf-8", "replace")
