"""Intervals on paired differences against SciPy, scikit-learn and their own promise."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable

import pytest

from mlbutler.stats.auc import auc_difference
from mlbutler.stats.bootstrap import GROUPS, PairedMeans

# Student (1908), Biometrika 6:1: hours of sleep gained by ten patients with each of two drugs.
SLEEP = (
    (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0),
    (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4),
)


def test_the_bootstrap_of_students_sleep_is_scipys() -> None:
    scipy = pytest.importorskip("scipy.stats")
    numpy = pytest.importorskip("numpy")
    pairs = PairedMeans(10)
    for old, new in zip(*SLEEP, strict=True):
        pairs.add(old, new)
    found = pairs.interval(0.05, resamples=9999)
    wanted = scipy.bootstrap(
        SLEEP, lambda a, b, axis=-1: numpy.mean(b, axis=axis) - numpy.mean(a, axis=axis), paired=True,
        n_resamples=9999, method="percentile", rng=1,
    ).confidence_interval  # fmt: skip
    assert pairs.means() == pytest.approx((0.75, 2.33))
    assert found == pytest.approx((wanted.low, wanted.high), abs=0.08)


@pytest.mark.parametrize("transform", [float, math.sqrt])
@pytest.mark.parametrize("count", [30, 3 * GROUPS])
def test_an_interval_is_that_of_resamples_counted_one_by_one(count: int, transform: Callable[[float], float]) -> None:
    source = random.Random(4)
    pairs = PairedMeans(count, seed=3)
    for _ in range(count):
        pairs.add(source.random(), source.random())
    dealt = pairs._random.getstate()
    found = pairs.interval(0.1, transform, resamples=40)
    pairs._random.setstate(dealt)
    drawn = []
    used = [group for group, size in enumerate(pairs._counts) if size]
    for chosen in pairs._resamples(used, 40):
        weight = sum(pairs._counts[i] for i in chosen)
        old, new = (sum(values[i] for i in chosen) / weight for values in (pairs._old, pairs._new))
        drawn.append(transform(new) - transform(old))
    drawn.sort()
    assert found == pytest.approx((drawn[1] * 0.05 + drawn[2] * 0.95, drawn[37] * 0.95 + drawn[38] * 0.05))


@pytest.mark.parametrize("size", [10, 450, GROUPS])
def test_each_example_is_as_likely_as_any_other(size: int) -> None:
    resamples = 300_000 // size
    times = Counter(place for chosen in PairedMeans(size)._resamples(range(size), resamples) for place in chosen)
    assert times.total() == resamples * size
    spread = sum((times[place] - resamples) ** 2 / resamples for place in range(size))  # Pearson's chi squared
    assert abs(spread - (size - 1)) < 4 * math.sqrt(2 * (size - 1))


def test_groups_of_many_examples_give_the_width_of_the_whole() -> None:
    source = random.Random(1)
    count = 50 * GROUPS
    values = [(source.gauss(0, 1), source.gauss(0.1, 1)) for _ in range(count)]
    pairs = PairedMeans(count)
    for old, new in values:
        pairs.add(old, new)
    low, high = pairs.interval(0.05)
    difference = math.fsum(new - old for old, new in values) / count
    half = 1.96 * math.sqrt(2 / count)
    assert (low, high) == pytest.approx((difference - half, difference + half), abs=0.15 * half)


def _scores(source: random.Random, count: int, shift: float) -> tuple[list[bool], list[float], list[float]]:
    positive = [source.random() < 0.4 for _ in range(count)]
    shared = [source.gauss(1.0 if is_positive else 0.0, 1.0) for is_positive in positive]
    old = [round(s + source.gauss(0, 0.5), 1) for s in shared]  # rounded: ties
    new = [round(s + source.gauss(0, 0.5 + shift), 1) for s in shared]
    return positive, old, new


def test_areas_are_scikit_learns_and_the_error_is_the_bootstraps() -> None:
    sklearn, metrics = pytest.importorskip("sklearn"), pytest.importorskip("sklearn.metrics")
    numpy = pytest.importorskip("numpy")
    positive, old, new = _scores(random.Random(3), 400, 1.0)
    found = auc_difference(positive, old, new)
    assert found is not None
    assert found.old == pytest.approx(metrics.roc_auc_score(positive, old))
    assert found.new == pytest.approx(metrics.roc_auc_score(positive, new))
    rng, arrays = numpy.random.default_rng(0), [numpy.array(values) for values in (positive, old, new)]
    differences = []
    with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
        for _ in range(1000):
            p, a, b = (values[rows] for values in arrays) if (rows := rng.integers(0, 400, 400)) is not None else arrays
            old_area, new_area = (metrics.auc(*metrics.roc_curve(p, scores)[:2]) for scores in (a, b))
            differences.append(new_area - old_area)
    assert found.error == pytest.approx(numpy.std(differences), rel=0.1)


def test_one_class_has_no_area() -> None:
    assert auc_difference([True] * 5, [1.0] * 5, [2.0] * 5) is None


def test_the_delong_interval_covers_as_it_says() -> None:
    missed = 0
    for trial in range(200):
        found = auc_difference(*_scores(random.Random(trial), 200, 0.0))
        assert found is not None
        low, high = found.interval(0.1)
        missed += not low <= 0 <= high
    assert 8 <= missed <= 34  # 20 expected; 99.8 % of binomial(200, 0.1)
