"""Gates: each limit on both sides of it, and what cannot be measured."""

from __future__ import annotations

from typing import Any

import pytest

from mlbutler.gate.rules import judge
from mlbutler.gate.subjects import Evidence
from mlbutler.record import MetricChange, Scalar, Verdict
from mlbutler.settings import Gate


def metric(old: Scalar, new: Scalar, name: str = "accuracy", **more: object) -> MetricChange:
    return MetricChange(file="m.json", name=name, old=old, new=new, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("limits", "old", "new", "outcome"),
    [
        ({"min": 0.9}, 0.5, 0.9, "passed"),
        ({"min": 0.9}, 0.5, 0.89, "failed"),
        ({"max": 0.9}, 0.5, 0.91, "failed"),
        ({"max_drop": 0.01}, 0.91, 0.9, "passed"),  # 0.91 - 0.9 is more than 0.01 in binary
        ({"max_drop": 0.01}, 0.91, 0.899, "failed"),
        ({"max_drop": 0.01}, 0.91, 0.99, "passed"),
        ({"max_drop_relative": 0.1}, 1.0, 0.9, "passed"),
        ({"max_drop_relative": 0.1}, 1.0, 0.89, "failed"),
        ({"max_drop": 0.01, "goal": "minimize"}, 0.5, 0.6, "failed"),
        ({"max_drop": 0.01, "goal": "minimize"}, 0.5, 0.4, "passed"),
        ({"max_drop": 0.01, "level": "warn"}, 0.9, 0.5, "warned"),
        ({"max_drop": 0}, 1e9, 1e9 - 0.5, "failed"),
        ({"max_drop": 0}, 2**63, 2**63 - 1, "failed"),
        ({"max_drop": 1}, 2**63, 2**63 - 1, "passed"),
        ({"max_drop": 0.01}, None, 0.5, "not judged"),
        ({"min": 0.1}, 0.5, "NaN", "failed"),
    ],
)
def test_limits(limits: dict[str, Any], old: Scalar, new: Scalar, outcome: str) -> None:
    result = judge([Gate(metric="m.json:accuracy", **limits)], Evidence([metric(old, new)]))[0]
    assert result.outcome == outcome
    assert "accuracy" in result.sentence


@pytest.mark.parametrize(
    ("limits", "old", "new", "sentence"),
    [
        ({"min": 0.9}, 0.9, 0.8999999, "m.json:accuracy is 0.8999999 (must be at least 0.9000000)"),
        ({"max_drop": 0.0}, 0.92, 0.9199999, "m.json:accuracy 0.9200000 → 0.9199999 (−0.0000001, limit 0)"),
        ({"max_drop": 0}, 2**63, 2**63 - 1, "m.json:accuracy 9223372036854775808 → 9223372036854775807 (−1, limit 0)"),
    ],
)
def test_a_sentence_never_says_that_a_number_broke_a_limit_that_looks_the_same(
    limits: dict[str, Any], old: Scalar, new: Scalar, sentence: str
) -> None:
    result = judge([Gate(metric="accuracy", **limits)], Evidence([metric(old, new)]))[0]
    assert (result.outcome, result.sentence) == ("failed", sentence)


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ([], "accuracy was not measured;"),
        ([metric(1, 1, "acuracy")], "accuracy was not measured (did you mean acuracy?);"),
        ([metric(1, 1), MetricChange(file="n.json", name="accuracy", old=1, new=1)], "ambiguous"),
        ([metric(1, None, verdict=Verdict.GONE)], "is gone;"),
        ([metric(1, None, verdict=Verdict.GONE, reason="not valid JSON")], "is gone (not valid JSON);"),
        ([metric(1, None)], "has no value;"),
        ([metric(1, "NaN")], "is NaN, which is not a number;"),
    ],
)
def test_what_cannot_be_measured_is_never_green(metrics: list[MetricChange], words: str) -> None:
    result = judge([Gate(metric="accuracy", min=0.1)], Evidence(metrics))[0]
    assert result.outcome == "failed"
    assert words in result.sentence


def test_a_drop_without_a_known_direction_asks_for_a_goal() -> None:
    result = judge([Gate(metric="speed", max_drop=1)], Evidence([metric(1, 1, "speed")]))[0]
    assert result.outcome == "failed"
    assert "set goal" in result.sentence


def test_each_limit_of_a_gate_is_judged_by_itself() -> None:
    results = judge([Gate(metric="accuracy", min=0.5, max_drop=0.1)], Evidence([metric(0.9, 0.7)]))
    assert [result.outcome for result in results] == ["passed", "failed"]
