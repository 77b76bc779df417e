"""Which of several experiments is the best, by one of their metrics."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from mlbutler.comparison.metrics import guess_goal
from mlbutler.settings import Gate
from mlbutler.train.experiment import Experiment
from mlbutler.train.state import State


def metric_of(experiment: Experiment, name: str) -> float | None:
    """Return the value of a metric of one that is done, named as in a gate: ``file:name``, or the name alone."""
    if experiment.state is not State.DONE:  # what a stage wrote before it failed is no result
        return None
    found = (metric.value for metric in experiment.metrics if name in (metric.name, f"{metric.file}:{metric.name}"))
    value = next(found, None)
    return None if value is None or math.isnan(value) else value


def goal_of(name: str, gates: Sequence[Gate]) -> str | None:
    """Return which way a metric is better, by a gate or by its name; None where neither tells."""
    alone = name.rpartition(":")[2]
    told = (gate.goal for gate in gates if gate.goal is not None and gate.metric in (name, alone))
    return next(told, None) or guess_goal(alone)


def main_metric(experiments: Iterable[Experiment], gates: Sequence[Gate]) -> str | None:
    """Return the metric by which experiments are ranked: the first gate's, else the first whose name has a goal."""
    there = list(experiments)
    named = [gate.metric for gate in gates if gate.metric is not None]
    named += list(dict.fromkeys(metric.name for one in there for metric in one.metrics))
    has_value = (name for name in named if any(metric_of(one, name) is not None for one in there))
    return next((name for name in has_value if goal_of(name, gates) is not None), None)


def best_first(experiments: Iterable[Experiment], name: str, gates: Sequence[Gate]) -> list[Experiment]:
    """Return experiments with the best value of a metric first, and those without one last; else as they were."""
    best = -1 if goal_of(name, gates) == "maximize" else 1

    def rank(experiment: Experiment) -> float:
        value = metric_of(experiment, name)
        return math.inf if value is None else best * value

    return sorted(experiments, key=rank)
