from __future__ import annotations

import dataclasses
import json
import logging
import math
import typing
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlbutler import record_file
from mlbutler.errors import OutsideError, ProjectError
from mlbutler.record import (
    STEP_NAMES,
    Change,
    CompareResult,
    Environment,
    FailedCase,
    MetricChange,
    Outcome,
    PlotChange,
    PlotKind,
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
plots = st.builds(
    PlotChange, file=text, title=text, kind=st.sampled_from(PlotKind), changed=st.booleans(), old=points, new=points
)
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
    record_file.write_record(path, dataclasses.replace(RECORD, lock_hash=f"a {secret} b"), Redactor([secret]))
    assert json.loads(path.read_text())["lock_hash"] == "a [hidden] b"


def test_a_missing_file_is_no_record(tmp_path: Path) -> None:
    assert record_file.read_record(tmp_path / "none.json", strict=True) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 1}', '{"schema": "x"}', "\x00", "null"])
def test_a_broken_file_is_ignored_aloud_and_an_error_when_strict(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    path = tmp_path / "record.json"
    path.write_text(content)
    with caplog.at_level(logging.WARNING):
        assert record_file.read_record(path) is None
    assert str(path) in caplog.text
    with pytest.raises(ProjectError) as caught:
        record_file.read_record(path, strict=True)
    assert "Delete" in caught.value.remedy


WHOLE: dict[str, Any] = json.loads(record_file.dumps(RECORD))
METRIC: dict[str, Any] = {"file": "m.json", "name": "n", "old": 1, "new": 2}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in WHOLE.items() if key != name}


BROKEN: dict[str, tuple[object, str]] = {
    "cut": (record_file.dumps(RECORD)[:-40], "the document: not valid JSON: "),
    "empty": ("", "the document: not valid JSON: "),
    "not UTF-8": (b'{"schema": "\xff"}', "the document: not valid JSON: "),
    "too deep": ("[" * 200_000, "the document: not valid JSON: "),
    "a list": ([WHOLE], "the document: no JSON object."),
    "nothing": (None, "the document: no JSON object."),
    "no change": (without("change"), "Object missing required field `change`."),
    "no environment": (without("environment"), "Object missing required field `environment`."),
    "a field of the change": (WHOLE | {"change": {"ci": "local"}}, "change: Object missing required field `kind`."),
    "a number as the change": (WHOLE | {"change": 3}, "change: Expected `object`, got `int`."),
    "text as memory": (
        WHOLE | {"environment": WHOLE["environment"] | {"memory": "much"}},
        "environment.memory: Expected `int`, got `str`.",
    ),
    "another outcome": (
        WHOLE | {"test": {"outcome": "perhaps", "reason": ""}},
        "test.outcome: Invalid enum value 'perhaps'.",
    ),
    "deep inside": (
        WHOLE | {"compare": {"outcome": "passed", "reason": "", "metrics": [METRIC, METRIC | {"verdict": "x"}]}},
        "compare.metrics[1].verdict: Invalid enum value ",
    ),
    "text as a list": (WHOLE | {"due": "plan"}, "due: Expected `array`, got `str`."),
    "text as seconds": (WHOLE | {"durations": {"plan": "long"}}, "durations[...]: Expected `float`, got `str`."),
    "another version": (WHOLE | {"schema": 99}, "The record has schema version 99, this mlbutler reads 1."),
    "no version at all": (WHOLE | {"schema": None}, "schema: Expected `int`, got `null`."),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_the_reason_names_the_place(tmp_path: Path, kind: str) -> None:
    content, reason = BROKEN[kind]
    path = tmp_path / "record.json"
    path.write_bytes(content if isinstance(content, bytes) else (
        content.encode() if isinstance(content, str) else json.dumps(content).encode()
    ))  # fmt: skip
    with pytest.raises(ProjectError) as caught:
        record_file.read_record(path, strict=True)
    assert caught.value.message.startswith(f"{path}: ")
    assert reason in caught.value.message
    assert len(caught.value.message) < len(str(path)) + 300
    assert caught.value.remedy == "Delete the file; the next run writes a new one."
    assert record_file.read_record(path) is None


def test_fields_that_this_version_does_not_know_are_passed_over() -> None:
    assert record_file.loads(json.dumps(WHOLE | {"later": {"x": 1}})) == RECORD


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=5), inside, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([field.name for field in dataclasses.fields(Record)]), values)
def test_whatever_stands_in_a_field_is_a_record_or_a_reason(name: str, value: object) -> None:
    try:
        record = record_file.loads(json.dumps(WHOLE | {name: value}))
    except ProjectError as error:
        assert name in error.message or "schema version" in error.message
    else:
        record_file.loads(record_file.dumps(record))


@pytest.mark.parametrize("odd", ['"\\ud800"', '{"\\ud800": 1}', "1e999", "-1e400", "1" * 400, '["\\udfff"]'])
@pytest.mark.parametrize("name", ["lock_hash", "durations", "schema", "project"])
def test_what_no_field_can_hold_is_a_record_or_a_reason(name: str, odd: str) -> None:
    text = json.dumps(WHOLE | {name: "@"}).replace('"@"', odd)
    try:
        record_file.loads(text)
    except ProjectError as error:
        assert error.remedy


def fill(kind: Any, depth: int = 0) -> Any:
    """Some value of a type, with something in everything that can hold something."""
    arguments = typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind)
        return kind(**{field.name: fill(hints[field.name], depth + 1) for field in dataclasses.fields(kind)})
    if typing.get_origin(kind) is tuple:
        some = arguments[:1] if arguments[-1] is Ellipsis else arguments
        return tuple(fill(argument, depth + 1) for argument in some)
    if typing.get_origin(kind) is dict:
        return {fill(arguments[0]): fill(arguments[1], depth + 1)}
    if typing.get_origin(kind) is typing.Literal:
        return arguments[-1]
    if arguments:  # a union: its richest member
        return fill(next(a for a in arguments if a is not type(None)), depth + 1)
    if issubclass(kind, Enum):
        return list(kind)[-1]
    return {bool: True, int: 3, float: 0.25, str: "text é", object: "x"}[kind]


def test_a_record_of_all_steps_is_read_back_exactly(tmp_path: Path) -> None:
    record = dataclasses.replace(fill(Record), schema=RECORD.schema)
    assert {name for name, _ in record.steps()} == set(STEP_NAMES)
    record_file.write_record(tmp_path / "record.json", record, Redactor(()))
    back = record_file.read_record(tmp_path / "record.json", strict=True)
    assert back == record
    assert repr(back) == repr(record)


def test_another_schema_version_is_not_misread(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(record_file.dumps(dataclasses.replace(RECORD, schema=99)))
    assert record_file.read_record(path) is None
    with pytest.raises(ProjectError, match="version 99"):
        record_file.read_record(path, strict=True)


def test_writing_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "record.json"
    record_file.write_record(path, RECORD, Redactor(()))
    record_file.write_record(path, dataclasses.replace(RECORD, lock_hash="new"), Redactor(()))
    back = record_file.read_record(path)
    assert back is not None
    assert back.lock_hash == "new"
    assert [p.name for p in path.parent.iterdir()] == ["record.json"]


def test_a_place_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutsideError) as caught:
        record_file.write_record(tmp_path / "file" / "record.json", RECORD, Redactor(()))
    assert caught.value.remedy
