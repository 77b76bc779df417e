"""Numbers made from the scores of paired examples, each with an interval on its difference."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator, Sequence

from mlbutler.comparison.pairing import Pair, as_number, same_text
from mlbutler.frozen import frozen
from mlbutler.record import ScoreChange, Verdict
from mlbutler.settings import Predictions
from mlbutler.stats.auc import auc_difference
from mlbutler.stats.bootstrap import PairedMeans

_MOST_FOR_AUC = 1_000_000
_LEAST = 10  # examples; an interval of fewer would say nothing
_NEAR_ZERO = 1e-15  # scikit-learn's and Kaggle's old clip: log loss of a certain mistake is finite


@frozen
class _Mean:
    """A number that is a function of a mean over examples."""

    name: str
    goal: str
    means: PairedMeans
    transform: Callable[[float], float] = float


class Scores:
    """Takes pairs one by one; memory is bounded but for the ROC curve's 17 bytes an example, up to a million.

    Args:
        examples: how many pairs will come at most.
    """

    def __init__(self, spec: Predictions, examples: int) -> None:
        self._spec = spec
        self._auc = spec.positive is not None and examples <= _MOST_FOR_AUC
        self._positive: list[bool] = []
        self._old, self._new = array("d"), array("d")
        self._probabilities = True
        self._without = 0

        def mean(name: str, goal: str, transform: Callable[[float], float] = float) -> _Mean:
            return _Mean(name, goal, PairedMeans(examples), transform)

        self._means: tuple[_Mean, ...] = ()
        if spec.tolerance is not None:
            self._means = (mean("mae", "minimize"), mean("rmse", "minimize", math.sqrt))
        elif spec.positive is not None:
            self._means = (mean("log_loss", "minimize"), mean("brier", "minimize"))
        elif spec.score is not None:
            self._means = (mean("mean score", spec.goal),)

    def add(self, pair: Pair) -> float:
        """Take one example; returns how much it lost, which is comparable between examples (0 if unknown)."""
        if self._spec.tolerance is not None:
            return self._add_errors(pair)
        old, new = as_number(pair.old_score), as_number(pair.new_score)
        if old is None or new is None:
            self._without += self._spec.score is not None
            return 0.0
        if self._spec.positive is None:
            if self._means:
                self._means[0].means.add(old, new)
            return old - new if self._spec.goal == "maximize" else new - old
        is_positive = same_text(pair.label, self._spec.positive)
        if self._auc:
            self._positive.append(is_positive)
            self._old.append(old)
            self._new.append(new)
        if not (0 <= old <= 1 and 0 <= new <= 1):
            self._probabilities = False
            return old - new if is_positive else new - old
        sides = [p if is_positive else 1 - p for p in (old, new)]  # the probability of what is true
        losses = [-math.log(max(p, _NEAR_ZERO)) for p in sides]
        self._means[0].means.add(losses[0], losses[1])
        self._means[1].means.add((1 - sides[0]) ** 2, (1 - sides[1]) ** 2)
        return sides[0] - sides[1]

    def _add_errors(self, pair: Pair) -> float:
        truth, old, new = (as_number(text) for text in (pair.label, pair.old, pair.new))
        if truth is None or old is None:
            self._without += 1
            return 0.0
        if new is None:
            self._without += 1
            return math.inf
        errors = abs(old - truth), abs(new - truth)
        self._means[0].means.add(*errors)
        self._means[1].means.add(errors[0] ** 2, errors[1] ** 2)
        return errors[1] - errors[0]

    def result(self) -> tuple[ScoreChange, ...]:
        """Return all numbers that could be made."""
        found = [self._roc()] if self._auc else []
        if self._probabilities:
            found += [self._mean(mean) for mean in self._means if mean.means.count >= _LEAST]
        return tuple(change for change in found if change is not None)

    def remarks(self, made: Sequence[ScoreChange]) -> Iterator[str]:
        """Return what is not in the numbers that were `made`, and why some are missing."""
        names = {change.name for change in made}
        if self._without:
            what = "score" if self._spec.tolerance is None else "prediction"
            yield f"{self._without:,} examples have no number as {what} on both sides and are not in the scores"
        if self._spec.positive is not None and "roc_auc" not in names:
            most = f"{_MOST_FOR_AUC:,}"
            yield f"no area under the ROC curve: it takes {_LEAST} to {most} examples, two of each class at least"
        if missing := [mean.name for mean in self._means if mean.name not in names]:
            few = f"fewer than {_LEAST} examples have numbers"
            yield f"no {' and '.join(missing)}: {few if self._probabilities else 'some scores are not probabilities'}"

    def _roc(self) -> ScoreChange | None:
        areas = auc_difference(self._positive, self._old, self._new)
        if areas is None or len(self._positive) < _LEAST:
            return None
        low, high = areas.interval(self._spec.alpha)
        return _judge_score("roc_auc", areas.old, areas.new, low, high, "maximize", "DeLong")

    def _mean(self, mean: _Mean) -> ScoreChange:
        old, new = (mean.transform(side) for side in mean.means.means())
        low, high = mean.means.interval(self._spec.alpha, mean.transform)
        return _judge_score(
            mean.name, old, new, low, high, mean.goal, f"paired bootstrap, {mean.means.count:,} examples"
        )


def _judge_score(name: str, old: float, new: float, low: float, high: float, goal: str, method: str) -> ScoreChange:
    if low == high == 0:
        verdict = Verdict.SAME
    elif low <= 0 <= high:
        verdict = Verdict.WITHIN_NOISE
    else:
        verdict = Verdict.BETTER if (low > 0) == (goal == "maximize") else Verdict.WORSE
    return ScoreChange(
        name=name, old=old, new=new, low=low, high=high, goal=goal, verdict=verdict, method=method
    )  # fmt: skip
