"""Verdicts from repeated runs: error rates that hold, and how many more are needed."""

from __future__ import annotations

import random

import pytest

from mlbutler.gate.calibrate import calibrate
from mlbutler.gate.noise import decide_gate, margins, pairs_needed


def runs(source: random.Random, count: int, mean: float, noise: float = 0.01) -> list[float]:
    return [source.gauss(mean, noise) for _ in range(count)]


@pytest.mark.parametrize(
    ("name", "limit", "goal", "wanted"),
    [
        ("max_drop", 0.01, "maximize", [-0.01, 0.03]),
        ("max_drop", 0.01, "minimize", [0.03, -0.01]),
        ("max_drop_relative", 0.1, "maximize", [0.06, 0.10]),
        ("min", 0.7, "maximize", [0.08, 0.12]),
        ("max", 0.9, "maximize", [0.12, 0.08]),
    ],
)
def test_a_margin_is_positive_where_the_limit_is_kept(name: str, limit: float, goal: str, wanted: list[float]) -> None:
    assert margins(name, limit, goal, [0.8, 0.8], [0.78, 0.82]) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ([0.010, 0.011, 0.009], "passed"),
        ([-0.010, -0.011, -0.009], "failed"),
        ([0.02, -0.01, 0.005], "inconclusive"),
        ([0.0, 0.0], "passed"),
    ],
)
def test_the_whole_interval_decides(values: list[float], outcome: str) -> None:
    assert decide_gate(values, 0.95).outcome == outcome


def test_a_change_at_the_limit_fails_and_passes_as_seldom_as_promised() -> None:
    source, counts = random.Random(2), {"passed": 0, "failed": 0, "inconclusive": 0}
    for _ in range(4000):
        old, new = runs(source, 5, 0.9), runs(source, 5, 0.88)
        counts[decide_gate(margins("max_drop", 0.02, "maximize", old, new), 0.95).outcome] += 1
    assert 70 <= counts["failed"] <= 131  # 100 expected, 3 standard deviations
    assert 70 <= counts["passed"] <= 131


def test_as_many_more_as_it_says_decide_it() -> None:
    source = random.Random(4)
    needed = pairs_needed(0.01, 0.01 * 2**0.5, 0.95)
    assert needed is not None
    decided = 0
    for _ in range(500):
        old, new = runs(source, needed, 0.9), runs(source, needed, 0.91)
        decided += decide_gate(margins("max_drop", 0, "maximize", old, new), 0.95).outcome == "passed"
    assert 0.74 <= decided / 500 <= 0.9


def test_a_mean_on_the_limit_can_never_be_decided() -> None:
    assert pairs_needed(0, 1, 0.95) is None
    assert decide_gate([1e-9, -1e-9 + 1e-15, 0.5, -0.5], 0.95).more is None


def test_calibration_measures_the_gates_own_errors() -> None:
    values = runs(random.Random(7), 60, 0.9)
    found = calibrate(values, "max_drop", 0.02, "maximize", 8, 0.95)
    by_effect = {rate.effect: rate for rate in found.rates}
    none, at_limit, large = by_effect[0.0], by_effect[0.02], by_effect[0.06]
    assert none.failed <= 0.005
    assert none.any_drop == pytest.approx(0.5, abs=0.05)
    assert at_limit.failed == pytest.approx(found.nominal, abs=0.015)
    assert large.failed > 0.95
    assert large.single > 0.95
    assert found.deviation == pytest.approx(0.01, rel=0.3)
