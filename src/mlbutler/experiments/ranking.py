"""Which of several experiments is the best, by one of their metrics."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from mlbutler.comparison.metrics import guess_goal
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.state import State
from mlbutler.settings import Gate


def metric_of(experiment: Experiment, name: str) -> float | None:
    """Return the value of a metric of one that is done, named as in a gate: ``file:name``, or the name alone."""
    if experiment.state is not State.DONE:  # what a stage wrote before it failed is no result
        return None
    found = (metric.value for metric in experiment.metrics if name in (metric.name, f"{metric.file}:{metric.name}"))
    value = next(found, None)
    return None if value is None or math.isnan(value) else value


def goal_of(name: str, gates: Sequence[Gate], experiments: Iterable[Experiment] = ()) -> str | None:
    """Return which way a metric is better, by a search, a gate or its name; None where none tells.

    Args:
        experiments: of which some may be trials of a search by this metric.
    """
    searched = (one.search.goal for one in experiments if one.search is not None and one.search.metric == name)
    if (goal := next(searched, None)) is not None:
        return goal
    alone = name.rpartition(":")[2]
    told = (gate.goal for gate in gates if gate.goal is not None and gate.metric in (name, alone))
    return next(told, None) or guess_goal(alone)


def main_metric(experiments: Iterable[Experiment], gates: Sequence[Gate]) -> str | None:
    """Return the metric by which experiments are ranked: a search's, the first gate's, or the first with a goal."""
    there = list(experiments)
    named = [one.search.metric for one in there[:1] if one.search is not None]
    named += [gate.metric for gate in gates if gate.metric is not None]
    named += list(dict.fromkeys(metric.name for one in there for metric in one.metrics))
    has_value = (name for name in named if any(metric_of(one, name) is not None for one in there))
    return next((name for name in has_value if goal_of(name, gates, there) is not None), None)


def best_first(experiments: Iterable[Experiment], name: str, gates: Sequence[Gate]) -> list[Experiment]:
    """Return experiments with the best value of a metric first, and those without one last; else as they were."""
    there = list(experiments)
    best = -1 if goal_of(name, gates, there) == "maximize" else 1

    def rank(experiment: Experiment) -> float:
        value = metric_of(experiment, name)
        return math.inf if value is None else best * value

    return sorted(there, key=rank)
