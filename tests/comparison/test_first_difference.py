"""The first difference between two contents, and metrics within a tolerance."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbutler.comparison.first_difference import of_bytes, of_files, of_metrics
from mlbutler.comparison.usual_causes import causes_in


@pytest.mark.parametrize(("recorded", "made", "said"), [
    (b"a\nb\n", b"a\nc\n", "line 2: 'b' recorded, 'c' made"),
    (b"a\n", b"a\nb\n", "line 2: (the end) recorded, 'b' made"),
    (b"a\r\nb\r\n", b"a\nb\n", "line ends: 2 CRLF, 2 LF recorded, 0 CRLF, 2 LF made"),
    (b"\x00\x01\xff", b"\x00\x02\xff", "byte 1: 0x01 recorded, 0x02 made"),
    (b"\x00\xff", b"\x00\xff\xff", "size: 2 bytes recorded, 3 bytes made"),
])  # fmt: skip
def test_the_first_difference_is_named(recorded: bytes, made: bytes, said: str) -> None:
    assert str(of_bytes(recorded, made)) == said


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_there_is_a_difference_exactly_where_the_bytes_differ(recorded: bytes, made: bytes) -> None:
    assert (of_bytes(recorded, made) is None) == (recorded == made)


def test_a_long_line_is_cut() -> None:
    assert len(str(of_bytes(b"a" * 10_000, b"b" * 10_000))) < 300


def test_the_first_file_of_a_directory() -> None:
    assert str(of_files({"a": "1", "b": "2"}, {"b": "3"})) == "a: 1 recorded, no such file made"
    assert of_files({"a": "1"}, {"a": "1"}) is None


def metrics(**values: object) -> bytes:
    return json.dumps(values).encode()


@pytest.mark.parametrize(("recorded", "made", "tolerance", "same"), [
    (metrics(a=1.0), metrics(a=1.0 + 1e-9), 1e-6, True),
    (metrics(a=1.0), metrics(a=1.0 + 1e-9), 0.0, False),
    (metrics(a=1.0), metrics(a=1), 0.0, True),
    (metrics(a=-1e-30), metrics(a=1e-30), 1e-6, False),
    (metrics(a=True), metrics(a=1), 1.0, False),
    (metrics(a="x"), metrics(a="y"), 1.0, False),
    (metrics(a=1), metrics(a=1, b=2), 1.0, False),
    (metrics(a=0), metrics(a=None), 1.0, False),
    (b'{"a": NaN}', b'{"a": NaN}', 0.0, True),
    (b'{"a": Infinity}', b'{"a": 1}', 0.5, False),
    (metrics(a=10**400), metrics(a=10**400 + 1), 1e-6, False),
])  # fmt: skip
def test_metrics_are_the_same_within_the_tolerance(recorded: bytes, made: bytes, tolerance: float, same: bool) -> None:
    found = of_metrics("metrics.json", recorded, made, tolerance)
    assert found is not None
    assert found.same is same
    assert (found.first is None) is same


@given(st.floats(1e-300, 1e300), st.floats(-0.5, 0.5), st.floats(1e-12, 0.4))
def test_the_tolerance_is_a_share_of_the_larger_number(value: float, change: float, tolerance: float) -> None:
    other = value * (1 + change)
    apart = abs(value - other) / max(value, other)
    if math.isclose(apart, tolerance):
        return
    found = of_metrics("m.json", metrics(a=value), metrics(a=other), tolerance)
    assert found is not None
    assert found.same is (apart < tolerance)


def test_what_is_no_metrics_file_is_not_judged_as_one() -> None:
    assert of_metrics("metrics.json", b"{", b"{}", 1.0) is None


@pytest.mark.parametrize(("recorded", "made", "word"), [
    ("b\na\n", "a\nb\n", "another order"),
    ("a b\n", "a  b\r\n", "Line ends or spaces"),
    ("loss 0.12345678901\n", "loss 0.12345678902\n", "threads"),
    ("0,5\n", "0.5\n", "locale"),
    ("at 2026-01-01T10:00:00\n", "at 2026-01-01T12:00:00\n", "time zone"),
    ("at 2026-01-01T10:00:00\n", "at 2026-01-03T12:01:07\n", "the time at which it ran"),
    ("now 1767225600.25\n", "now 1767225999\n", "the time at which it ran"),
    ("in /tmp/tmpab12\n", "in /tmp/tmpcd34\n", "temporary files"),
])  # fmt: skip
def test_a_usual_cause_is_seen_in_the_contents(recorded: str, made: str, word: str) -> None:
    assert any(word in cause for cause in causes_in(recorded.encode(), made.encode()))


def test_no_cause_is_seen_where_there_is_none() -> None:
    assert list(causes_in(b"accuracy 0.91\n", b"accuracy 0.999\n")) == []


@given(st.text(max_size=100), st.text(max_size=100))
def test_any_contents_can_be_looked_at(recorded: str, made: str) -> None:
    list(causes_in(recorded.encode("utf-8", "replace"), made.encode("utf-8", "replace")))


def test_a_hostile_text_takes_no_time() -> None:
    list(causes_in(b"1" * 2_000_000 + b"x", b"1" * 2_000_000 + b"y"))
