"""Metric and parameter files of every kind, good and bad."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbutler.comparison.documents import read_document
from mlbutler.comparison.metrics import compare_metrics
from mlbutler.comparison.snapshot import Source
from mlbutler.record import Verdict


def values(path: str, text: str) -> dict[str, object]:
    return dict(read_document(path, Source(text.encode())).values)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("m.json", '{"a": {"b": 1.5, "c": [1, 2]}}'),
        ("m.yaml", "a:\n  b: 1.5\n  c: [1, 2]\n"),
        ("m.toml", "[a]\nb = 1.5\nc = [1, 2]\n"),
        ("m.py", "class a:\n    b = 1.5\n    c = [1, 2]\n"),
    ],
)
def test_nested_values_get_dotted_names(path: str, text: str) -> None:
    assert values(path, text) == {"a.b": 1.5, "a.c.0": 1, "a.c.1": 2}


@pytest.mark.parametrize("opening", ['{"k": ', "["])
def test_deep_values_have_names(opening: str) -> None:
    closing = "}" if opening.startswith("{") else "]"
    (found,) = values("m.json", opening * 300 + "0.5" + closing * 300).items()
    assert found == (".".join(["k" if closing == "}" else "0"] * 300), 0.5)


def test_aliases_that_unfold_to_nothing_end() -> None:
    text = "a0: &a0 []\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30))
    assert "more than 1,000,000 values" in read_document("m.yaml", Source(text.encode())).problem


def test_a_csv_of_metrics_gives_the_last_value_by_step() -> None:
    text = "Name,Value,Timestamp,Step\nloss,3,1,1\nloss,1,3,3\nloss,2,2,2\nacc,0.5,1,1\n"
    assert values("metrics.csv", text) == {"loss": 1.0, "acc": 0.5}


def test_numbers_that_json_cannot_hold_are_text() -> None:
    assert values("m.json", '{"a": NaN, "b": -Infinity}') == {"a": "NaN", "b": "-Infinity"}


@pytest.mark.parametrize(
    ("path", "content", "problem"),
    [
        ("m.json", b"{", "not valid JSON"),
        ("m.yaml", b"a: [", "not valid YAML"),
        ("m.toml", b"= 1", "not valid TOML"),
        ("m.json", b"\xff\xfe\x00", "not UTF-8"),
        ("m.json", b"[" * 100_000, "nested too deeply"),
        ("m.json", b" " * (21 << 20), "larger than 20 MB"),
        ("m.json", None, "missing"),
    ],
)
def test_a_bad_file_is_a_reason_and_no_crash(path: str, content: bytes | None, problem: str) -> None:
    document = read_document(path, Source(content))
    assert problem in document.problem
    assert not document.values


@given(st.binary(max_size=200), st.sampled_from(["json", "yaml", "toml", "py", "csv"]))
def test_no_content_raises(content: bytes, extension: str) -> None:
    document = read_document(f"m.{extension}", Source(content))
    assert document.problem or document.values is not None


@given(st.dictionaries(st.text(min_size=1), st.integers(-(10**9), 10**9)))
def test_every_leaf_of_a_flat_json_is_kept(content: dict[str, int]) -> None:
    assert values("m.json", json.dumps(content)) == content


def test_whole_numbers_beyond_floats_are_compared_digit_by_digit() -> None:
    old, new = 9_007_199_254_740_992, 9_007_199_254_740_993  # one and the same float
    one, other = ({"m.json": Source(f'{{"seen": {n}, "many": 1{"0" * 400}}}'.encode())} for n in (old, new))
    changes, _ = compare_metrics(one, other, {"m.json:seen": "maximize"})
    seen, many = sorted(changes, key=lambda change: change.name, reverse=True)
    assert (seen.verdict, seen.difference, seen.new) == (Verdict.BETTER, 1.0, new)
    assert isinstance(many.new, str)
