"""Judge numbers that training noise moves: the verdict comes from an interval, not from one run."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from functools import cache
from statistics import NormalDist

from mlbutler.frozen import frozen
from mlbutler.stats.student import t_interval, t_quantile

MOST_MORE = 1000
"""Further repeats that are worth naming; beyond, the difference is too near to the limit."""

_POWER = 0.8
_TOLERANCE = 1e-9


@frozen
class GateDecision:
    """What repeated runs say about one limit.

    A *margin* is how far one pair of runs (or one run) is on the right side of the limit, in the number's unit.

    Attributes:
        outcome: ``passed``, ``failed`` or ``inconclusive``.
        margin, low, high: the mean margin and its interval.
        more: about how many further pairs would decide it with a chance of 80 %, were mean and noise as they look now;
            None when it is decided, or when it would take more than `MOST_MORE`.
    """

    outcome: str
    margin: float
    low: float
    high: float
    more: int | None = None


def margins(name: str, limit: float, goal: str, old: Sequence[float], new: Sequence[float]) -> list[float]:
    """Return the margin of each pair of runs.

    Args:
        name: ``min``, ``max``, ``max_drop`` or ``max_drop_relative``. goal: ``maximize`` or ``minimize``.
        old, new: the number on both sides, paired by seed.
    """
    if name in ("min", "max"):
        return [value - limit if name == "min" else limit - value for value in new]
    sign = 1 if goal == "maximize" else -1
    allowed = [limit if name == "max_drop" else limit * abs(value) for value in old]
    return [sign * (after - before) + spare for before, after, spare in zip(old, new, allowed, strict=True)]


def decide_gate(values: Sequence[float], confidence: float) -> GateDecision:
    """Judge the margins of at least two pairs.

    Passed when the whole interval keeps the limit, failed when all of it breaks it. Seen from a change that is exactly
    at the limit each has a chance of at most ``(1 - confidence) / 2``: a test of non-inferiority and one of
    inferiority, with Student's t on paired differences.
    """
    found = t_interval(values, confidence)
    slack = _TOLERANCE * max((abs(value) for value in values), default=0.0)
    if found.low >= -slack:
        return GateDecision("passed", found.mean, found.low, found.high)
    if found.high < -slack:
        return GateDecision("failed", found.mean, found.low, found.high)
    needed = pairs_needed(found.mean, found.deviation, confidence)
    more = max(1, needed - len(values)) if needed is not None else None
    return GateDecision("inconclusive", found.mean, found.low, found.high, more)


def pairs_needed(margin: float, deviation: float, confidence: float) -> int | None:
    """Return the least number of pairs that decides, with a chance of 80 %, a mean `margin` of such noise."""
    if margin == 0:
        return None
    extra = NormalDist().inv_cdf(_POWER)

    def decides(count: int) -> bool:
        half = t_quantile((1 + confidence) / 2, count - 1)
        return (half + extra) * deviation / math.sqrt(count) <= abs(margin)

    at = bisect_left(counts := _counts(), True, key=decides)
    return counts[at] if at < len(counts) else None


@cache
def _counts() -> tuple[int, ...]:
    """Return each count up to 100, then in steps of about 2 %: more is not known anyway."""
    counts = [2]
    while (after := counts[-1] + max(1, counts[-1] // 50)) <= MOST_MORE:
        counts.append(after)
    return tuple(counts)
