from __future__ import annotations

import dataclasses
import json
import logging
import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlbutler import record_file
from mlbutler.errors import OutsideError, ProjectError
from mlbutler.record import (
    Change,
    CompareResult,
    Environment,
    FailedCase,
    MetricChange,
    Outcome,
    PlotChange,
    Record,
    TestResult,
    Verdict,
)
from mlbutler.secrets import Redactor

CHANGE = Change(ci="local", kind="local", head="a" * 40, checkout="a" * 40)
ENVIRONMENT = Environment(mlbutler="1", dvc="3", git="2", python="3.11", platform="x", host="h", cpus=2, memory=4)
RECORD = Record(change=CHANGE, environment=ENVIRONMENT)

finite = st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), finite, text)
metrics = st.builds(
    MetricChange, file=text, name=text, old=scalars, new=scalars, difference=st.none() | finite,
    relative=st.none() | finite, goal=st.sampled_from([None, "maximize"]), verdict=st.sampled_from(Verdict),
    reason=text,
)  # fmt: skip
points = st.lists(st.tuples(scalars, scalars), max_size=3).map(tuple)
plots = st.builds(PlotChange, file=text, title=text, kind=text, changed=st.booleans(), old=points, new=points)
compares = st.builds(
    CompareResult, outcome=st.sampled_from(Outcome), reason=text, duration=finite,
    metrics=st.lists(metrics, max_size=3).map(tuple),
    plots=st.lists(plots, max_size=2).map(tuple), not_judged=st.lists(st.tuples(text, text), max_size=2).map(tuple),
)  # fmt: skip
tests = st.builds(
    TestResult, outcome=st.sampled_from(Outcome), reason=text, tests=st.none() | st.integers(0),
    failed_cases=st.lists(st.builds(FailedCase, suite=text, name=text, message=text), max_size=2).map(tuple),
)  # fmt: skip
records = st.builds(
    Record, change=st.just(CHANGE), environment=st.just(ENVIRONMENT), lock_hash=text, test=st.none() | tests,
    compare=st.none() | compares, durations=st.dictionaries(text, finite, max_size=3),
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(records)
def test_what_is_written_is_read_back_exactly(record: Record) -> None:
    back = record_file.loads(record_file.dumps(record))
    assert back == record
    assert repr(back) == repr(record)  # equality alone cannot tell 1 from 1.0 or True


def test_numbers_that_json_cannot_hold_become_their_names() -> None:
    odd = MetricChange(file="m", name="n", old=math.nan, new=-math.inf, difference=math.inf)
    record = dataclasses.replace(RECORD, compare=CompareResult(outcome=Outcome.PASSED, reason="", metrics=(odd,)))
    document = record_file.dumps(record)
    assert json.loads(document)["compare"]["metrics"][0]["old"] == "NaN"
    back = record_file.loads(document)
    assert back.compare is not None
    assert (back.compare.metrics[0].old, back.compare.metrics[0].new) == ("NaN", "-Infinity")


def test_file_names_that_are_not_utf8_stay_readable() -> None:
    record = dataclasses.replace(RECORD, lock_hash="caf\udce9.csv")
    assert record_file.loads(record_file.dumps(record)).lock_hash == r"caf\udce9.csv"


def test_secrets_are_hidden_in_keys_and_values_but_not_in_our_own_words() -> None:
    record = dataclasses.replace(
        RECORD,
        test=TestResult(outcome=Outcome.PASSED, reason="the key hunter22 was printed"),
        durations={"hunter22": 1.0},
    )
    written = record_file.dumps(record, Redactor(["hunter22", "passed", "reason"]))
    assert "hunter22" not in written
    back = record_file.loads(written)
    assert back.test is not None
    assert back.test.outcome is Outcome.PASSED
    assert back.test.reason == "the key [hidden] was printed"


def test_a_secret_is_hidden_before_json_escapes_it(tmp_path: Path) -> None:
    secret = 'sl\\ash"quote\tand tab'
    path = tmp_path / "record.json"
    record_file.write(path, dataclasses.replace(RECORD, lock_hash=f"a {secret} b"), Redactor([secret]))
    assert json.loads(path.read_text())["lock_hash"] == "a [hidden] b"


def test_a_missing_file_is_no_record(tmp_path: Path) -> None:
    assert record_file.read(tmp_path / "none.json", strict=True) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 1}', '{"schema": "x"}', "\x00", "null"])
def test_a_broken_file_is_ignored_aloud_and_an_error_when_strict(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    path = tmp_path / "record.json"
    path.write_text(content)
    with caplog.at_level(logging.WARNING):
        assert record_file.read(path) is None
    assert str(path) in caplog.text
    with pytest.raises(ProjectError) as caught:
        record_file.read(path, strict=True)
    assert "Delete" in caught.value.remedy


def test_another_schema_version_is_not_misread(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(record_file.dumps(dataclasses.replace(RECORD, schema=99)))
    assert record_file.read(path) is None
    with pytest.raises(ProjectError, match="version 99"):
        record_file.read(path, strict=True)


def test_writing_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "record.json"
    record_file.write(path, RECORD, Redactor(()))
    record_file.write(path, dataclasses.replace(RECORD, lock_hash="new"), Redactor(()))
    back = record_file.read(path)
    assert back is not None
    assert back.lock_hash == "new"
    assert [p.name for p in path.parent.iterdir()] == ["record.json"]


def test_a_place_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutsideError) as caught:
        record_file.write(tmp_path / "file" / "record.json", RECORD, Redactor(()))
    assert caught.value.remedy
