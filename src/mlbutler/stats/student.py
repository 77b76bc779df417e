"""Student's t distribution and the interval on a mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

_TINY = 1e-300
_STEPS = 500


class MeanInterval(NamedTuple):
    """A mean, its confidence interval, and the standard deviation of one value."""

    mean: float
    low: float
    high: float
    deviation: float


def t_interval(values: Sequence[float], confidence: float) -> MeanInterval:
    """Return the two-sided interval on the mean of at least two values (Student 1908, Biometrika 6:1)."""
    count = len(values)
    mean = math.fsum(values) / count
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    half = t_quantile((1 + confidence) / 2, count - 1) * deviation / math.sqrt(count)
    return MeanInterval(mean, mean - half, mean + half, deviation)


@lru_cache(maxsize=4096)
def t_quantile(probability: float, freedom: int) -> float:
    """Return the t below which `probability` (0.5 to below 1) of the distribution lies, by bisection."""
    if probability < 0.5:
        return -t_quantile(1 - probability, freedom)
    low, high = 0.0, 1.0
    while t_cdf(high, freedom) < probability:
        low, high = high, 2 * high
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if t_cdf(middle, freedom) < probability else (low, middle)
    return (low + high) / 2


def t_cdf(t: float, freedom: int) -> float:
    """Return P(T <= t), from the regularized incomplete beta function (Abramowitz and Stegun 26.7.1)."""
    square = t * t
    if square < freedom:  # the other end loses digits where the argument is nearly one
        return 0.5 + math.copysign(0.5, t) * _incomplete_beta(square / (freedom + square), 0.5, freedom / 2)
    tail = 0.5 * _incomplete_beta(freedom / (freedom + square), freedom / 2, 0.5)
    return 1 - tail if t > 0 else tail


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """Return I_x(a, b), by its continued fraction evaluated as Lentz did (Abramowitz and Stegun 26.5.8)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )  # fmt: skip
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _STEPS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def _away_from_zero(value: float) -> float:
    """Keep away from zero: Lentz's method divides by it."""
    return value if abs(value) > _TINY else _TINY
