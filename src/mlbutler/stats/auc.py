"""Compare the areas under the ROC curves of two scores of the same examples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from mlbutler.frozen import frozen


@frozen
class AucDifference:
    """`old` and `new` areas; `error` is the standard error of their difference."""

    old: float
    new: float
    error: float

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the normal interval on ``new - old`` with coverage 1 - `alpha`."""
        width = NormalDist().inv_cdf(1 - alpha / 2) * self.error
        return self.new - self.old - width, self.new - self.old + width


def auc_difference(positive: Sequence[bool], old: Sequence[float], new: Sequence[float]) -> AucDifference | None:
    """Compare two correlated areas by DeLong's method.

    DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837; by mid-ranks in n log n (Sun and Xu 2014, IEEE Signal
    Processing Letters 21:1389).

    Args:
        positive: is the example of the positive class. old, new: its scores.

    Returns:
        None when there are not at least two examples of each class.
    """
    positives = sum(positive)
    negatives = len(positive) - positives
    if positives < 2 or negatives < 2:
        return None
    before, after = _components(positive, old), _components(positive, new)
    areas = [math.fsum(sides[0]) / positives for sides in (before, after)]
    variance = sum(
        _variance([b - a for a, b in zip(before[side], after[side], strict=True)]) / count
        for side, count in ((0, positives), (1, negatives))
    )
    return AucDifference(areas[0], areas[1], math.sqrt(variance))


def _components(positive: Sequence[bool], scores: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return for each positive the share of negatives below it, for each negative the share of positives above."""
    everything = _mid_ranks(scores)
    positives = [score for score, is_positive in zip(scores, positive, strict=True) if is_positive]
    negatives = [score for score, is_positive in zip(scores, positive, strict=True) if not is_positive]
    among = iter(_mid_ranks(positives)), iter(_mid_ranks(negatives))
    above: list[float] = []
    below: list[float] = []
    for rank, is_positive in zip(everything, positive, strict=True):
        if is_positive:
            above.append((rank - next(among[0])) / len(negatives))
        else:
            below.append(1 - (rank - next(among[1])) / len(positives))
    return above, below


def _mid_ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for place in range(start, end + 1):
            ranks[order[place]] = (start + end) / 2 + 1
        start = end + 1
    return ranks


def _variance(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
