from __future__ import annotations

import csv
import dataclasses

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlbutler.record import CompareResult, MetricChange, Outcome, Record, SyncResult, Verdict
from mlbutler.report import metrics_csv


def read(text: str) -> dict[str, str]:
    names, values = csv.reader(text.splitlines())
    return dict(zip(names, values, strict=True))


def test_each_number_stands_below_its_name(record: Record) -> None:
    found = read(metrics_csv.render(record))
    assert float(found["metrics.json:test.accuracy"]) == 0.89444
    assert float(found["metrics.json:calibration"]) == 0.0421  # new
    assert not {"metrics.json:old_score", "metrics.json:status"} & set(found)  # gone, and no number


def test_numbers_that_may_be_outdated_are_no_point_of_the_trend(record: Record) -> None:
    compare = CompareResult(
        outcome=Outcome.PASSED,
        reason="",
        metrics=(
            MetricChange(file="old.json", name="f1", new=0.5, verdict=Verdict.NOT_JUDGED, reason="it did not run"),
            MetricChange(
                file="new.json", name="size", new=3, verdict=Verdict.NOT_JUDGED, reason="no direction is known"
            ),
        ),
        not_judged=(("old.json", "it did not run"), ("new.json:size", "no direction is known")),
    )
    assert read(metrics_csv.render(dataclasses.replace(record, compare=compare))) == {"new.json:size": "3.0"}


def test_without_numbers_there_is_none(record: Record) -> None:
    assert metrics_csv.render(dataclasses.replace(record, compare=None)) == ""
    stopped = SyncResult(outcome=Outcome.INTERRUPTED, reason="")
    assert metrics_csv.render(dataclasses.replace(record, sync=stopped)) == ""


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.text(), st.text(min_size=1), st.floats() | st.integers()), unique_by=lambda m: m[:2]))
def test_any_name_is_one_field_and_no_formula(record: Record, found: list[tuple[str, str, float]]) -> None:
    metrics = tuple(MetricChange(file=file, name=name, new=number) for file, name, number in found)
    compare = CompareResult(outcome=Outcome.PASSED, reason="", metrics=metrics)
    text = metrics_csv.render(dataclasses.replace(record, compare=compare))
    rows = list(csv.reader(text.splitlines()))
    assert len(rows) in (0, 2)
    assert not [name for name in (rows or [[]])[0] if name[:1] in "=+-@\t\r"]
