"""Exact tests on counts of paired outcomes, and the correction for looking at many."""

from __future__ import annotations

import math
from collections.abc import Sequence


def binomial_tail(successes: int, trials: int) -> float:
    """Return P(X <= `successes`) of a fair coin thrown `trials` times.

    The largest term comes from `math.lgamma`, those below it by the ratio of neighbours, until they no longer count:
    exact to about 1e-8 for a million trials, where 2**trials is no float.
    """
    if successes < 0:
        return 0.0
    if 2 * successes >= trials:  # the sum runs down from the middle, where terms shrink
        return 1.0 - binomial_tail(trials - successes - 1, trials) if successes < trials else 1.0
    log_term = math.lgamma(trials + 1) - math.lgamma(successes + 1) - math.lgamma(trials - successes + 1)
    total, share, k = 1.0, 1.0, successes
    while k > 0 and share > total * 1e-17:
        share *= k / (trials - k + 1)
        total += share
        k -= 1
    log_tail = log_term - trials * math.log(2) + math.log(total)
    return min(1.0, math.exp(log_tail)) if log_tail > -745 else 0.0


def mcnemar(broken: int, fixed: int) -> float:
    """Return the two-sided p-value of McNemar's exact test.

    McNemar 1947, Psychometrika 12:153; exact form: the sign test. Only the pairs that disagree say anything: under the
    null hypothesis each is as likely to fall on either side.

    Args:
        broken: examples that were right and are wrong. fixed: examples that were wrong and are right.
    """
    return min(1.0, 2 * binomial_tail(min(broken, fixed), broken + fixed))


def got_worse(broken: int, fixed: int) -> float:
    """Return the one-sided p-value of the same test: how likely so many broken ones are if nothing got worse."""
    return binomial_tail(fixed, broken + fixed)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return adjusted p-values, in the order given.

    Below alpha means rejected with family-wise error at most alpha.

    Step-down procedure of Holm (1979), Scandinavian Journal of Statistics 6:65; holds under any dependence.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return tuple(adjusted)
