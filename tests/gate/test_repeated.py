"""Sentences and outcomes of limits that repeated runs judge."""

from __future__ import annotations

from typing import Any

import pytest

from mlbutler.gate.repeated import summarise
from mlbutler.gate.rules import judge
from mlbutler.gate.subjects import Evidence
from mlbutler.record import GateResult, MetricChange, RepeatResult, Verdict
from mlbutler.settings import Gate

METRIC = MetricChange(file="m.json", name="accuracy", old=0.9, new=0.87, goal="maximize", verdict=Verdict.WORSE)
OLD = (0.90, 0.91, 0.89, 0.905, 0.895)


def repeats(*new: float, metric: MetricChange = METRIC) -> RepeatResult:
    return summarise(metric, range(len(new)), OLD[: len(new)], new, 0.95)


def one(found: RepeatResult, **gate: Any) -> GateResult:
    (result,) = judge([Gate(metric="m.json:accuracy", **gate)], Evidence([METRIC], repeats={found.metric: found}))
    return result


def test_a_clear_drop_fails_and_the_sentence_says_by_how_much() -> None:
    result = one(repeats(0.85, 0.861, 0.839, 0.856, 0.845), max_drop=0.01)
    assert result.outcome == "failed"
    interval = "95 % interval −0.0508 to −0.0488"  # scipy.stats.ttest_rel(new, old).confidence_interval()
    assert result.sentence == f"m.json:accuracy 0.9000 → 0.8502 on average of 5 seeds (−0.0498, {interval}, limit 0.01)"
    assert result.rule == "max drop 0.01, 5 repeats"


@pytest.mark.parametrize(
    ("new", "gate", "outcome"),
    [
        ((0.90, 0.911, 0.889, 0.905, 0.896), {"max_drop": 0.01}, "passed"),
        ((0.85, 0.861, 0.839, 0.856, 0.845), {"max_drop": 0.01, "level": "warn"}, "warned"),
        ((0.85, 0.861, 0.839, 0.856, 0.845), {"max_drop": 0.01, "goal": "minimize"}, "passed"),
        ((0.90, 0.86, 0.93, 0.88, 0.90), {"max_drop": 0.01}, "inconclusive"),
        ((0.85, 0.861, 0.839, 0.856, 0.845), {"max_drop_relative": 0.04}, "failed"),
        ((0.85, 0.861, 0.839, 0.856, 0.845), {"min": 0.8}, "passed"),
        ((0.85, 0.861, 0.839, 0.856, 0.845), {"min": 0.85}, "inconclusive"),
        ((0.85, 0.861, 0.839, 0.856, 0.845), {"max": 0.8}, "failed"),
    ],
)
def test_the_interval_decides_not_one_run(new: tuple[float, ...], gate: dict[str, Any], outcome: str) -> None:
    assert one(repeats(*new), **gate).outcome == outcome


def test_what_is_inconclusive_says_what_would_help() -> None:
    sentence = one(repeats(0.90, 0.86, 0.93, 0.88, 0.90), max_drop=0.02).sentence
    assert sentence.endswith(" more seeds")
    assert one(repeats(0.85, 0.861, 0.839, 0.856, 0.845), min=0.8502).sentence.endswith("too near to the limit to tell")


@pytest.mark.parametrize(("excused", "outcome"), [(True, "not judged"), (False, "failed")])
def test_runs_that_failed_on_the_targets_side_are_not_held_against_the_change(excused: bool, outcome: str) -> None:
    broken = RepeatResult(metric=METRIC.key, reason="seed 7: stage 'train' failed", excused=excused)
    result = one(broken, max_drop=0.01)
    assert result.outcome == outcome
    assert "seed 7: stage 'train' failed; the gate 'max drop 0.01' cannot be judged by repeats" in result.sentence


@pytest.mark.parametrize(
    ("new", "verdict"),
    [
        (OLD, Verdict.SAME),
        ((0.85, 0.861, 0.839, 0.856, 0.845), Verdict.WORSE),
        ((0.95, 0.961, 0.939, 0.956, 0.945), Verdict.BETTER),
        ((0.90, 0.86, 0.93, 0.88, 0.90), Verdict.WITHIN_NOISE),
    ],
)
def test_a_metrics_verdict_is_that_of_all_seeds(new: tuple[float, ...], verdict: Verdict) -> None:
    assert repeats(*new).verdict is verdict


def test_a_metric_of_unknown_direction_has_an_interval_but_no_verdict() -> None:
    found = repeats(0.85, 0.861, 0.839, 0.856, 0.845, metric=MetricChange(file="m.json", name="speed"))
    assert found.verdict is Verdict.NOT_JUDGED
    assert found.difference == pytest.approx(-0.0498)
