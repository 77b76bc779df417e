"""The paired bootstrap of statistics that are functions of means, such as mean scores, MAE and RMSE."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import compress, repeat
from operator import sub
from typing import NamedTuple, TypeVar

GROUPS = 1000
RESAMPLES = 2000
_DRAWS = 1 << 16
V = TypeVar("V")


class ConfidenceInterval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


class PairedMeans:
    """Two values for each example, summed in at most `GROUPS` groups so that memory does not grow with the data.

    Each example goes into a random group; of up to `GROUPS` examples each has its own, and resampling groups then is
    the ordinary paired bootstrap (Efron and Tibshirani 1993, chapters 8 and 13). Beyond that groups, as random blocks,
    are resampled as units.

    Args:
        examples: how many there will be at most.
        seed: of the random groups and resamples; the same data give the same interval.
    """

    def __init__(self, examples: int, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._grouped = examples > GROUPS
        size = min(examples, GROUPS)
        self._counts, self._old, self._new = (array("d", bytes(8 * size)) for _ in range(3))
        self._next = 0
        self.count = 0

    def add(self, old: float, new: float) -> None:
        """Take one example's values on both sides."""
        group = self._random.randrange(GROUPS) if self._grouped else self._next
        self._next += 1
        self._counts[group] += 1
        self._old[group] += old
        self._new[group] += new
        self.count += 1

    def means(self) -> tuple[float, float]:
        """Return the means of both sides. At least one example must have been added."""
        return math.fsum(self._old) / self.count, math.fsum(self._new) / self.count

    def interval(
        self, alpha: float, transform: Callable[[float], float] = float, resamples: int = RESAMPLES
    ) -> ConfidenceInterval:
        """Return the percentile interval of ``transform(mean new) - transform(mean old)``, coverage 1 - `alpha`."""
        if transform is float:
            found = sorted(self._differences(resamples))
        else:
            found = sorted(transform(new) - transform(old) for old, new in self._pairs(resamples))
        return ConfidenceInterval(_quantile(found, alpha / 2), _quantile(found, 1 - alpha / 2))

    def _differences(self, resamples: int) -> Iterator[float]:
        """Yield the difference of the means of both sides, for each resample."""
        counts, differences = (
            self._used_values(self._counts),
            self._used_values(array("d", map(sub, self._new, self._old))),
        )
        if not self._grouped:
            yield from (sum(chosen) / len(counts) for chosen in self._resamples(differences, resamples))
            return
        both = list(map(complex, differences, counts))  # Python adds up two columns at the price of one
        for total in map(sum, self._resamples(both, resamples)):
            yield total.real / total.imag

    def _pairs(self, resamples: int) -> Iterator[tuple[float, float]]:
        """Yield the means of both sides, for each resample."""
        counts = self._used_values(self._counts)
        both = list(map(complex, self._used_values(self._old), self._used_values(self._new)))
        for chosen in self._resamples(range(len(counts)), resamples):
            weight, total = sum(map(counts.__getitem__, chosen)), sum(map(both.__getitem__, chosen))
            yield total.real / weight, total.imag / weight

    def _resamples(self, values: Sequence[V], resamples: int) -> Iterator[list[V]]:
        """Yield as many of these values as there are, at most `GROUPS`, drawn with replacement, for each resample.

        `random.choices` takes twice as long. A draw is 16 random bits; those that would make some values more likely
        than others are dropped.
        """
        size = len(values)
        table = [*values] * (_DRAWS // size)
        drawn: list[V] = []
        for _ in repeat(None, resamples):
            while len(drawn) < size:
                words = array("H", self._random.randbytes(2 * size))
                drawn += [table[word] for word in words if word < len(table)]
            yield drawn[:size]
            del drawn[:size]

    def _used_values(self, values: array[float]) -> list[float]:
        """Return the values of groups that have examples."""
        return list(compress(values, self._counts))


def _quantile(ordered: list[float], share: float) -> float:
    """Interpolate linearly between order statistics (type 7 of Hyndman and Fan 1996, NumPy's default)."""
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
