"""Describe what experiments have cost, and estimate how long the rest of them takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlbutler.console import human_seconds
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.scheduling import has_more_trials, trials_of
from mlbutler.experiments.state import UNDER_WAY, State

_HOUR = 3600.0


def describe_cost(experiments: Sequence[Experiment], now: float) -> Iterator[str]:
    """Yield GPU-hours and the time that is left, where there is something to say of them.

    Args:
        now: seconds since the epoch.
    """
    hours = sum(one.gpus * _seconds(one, now) for one in experiments) / _HOUR
    if hours:
        yield f"{hours:.1f} GPU-hours"
    grids = dict.fromkeys(one.grid for one in experiments)
    left = [_estimate_seconds_left([one for one in experiments if one.grid == grid], now) for grid in grids]
    if any(left):
        yield f"about {human_seconds(max(left))} left"


def _seconds(experiment: Experiment, now: float) -> float:
    """Return how long the last attempt took, or has taken until now."""
    if experiment.started is None or (experiment.ended is None and experiment.state not in UNDER_WAY):
        return 0.0
    return max((now if experiment.ended is None else experiment.ended) - experiment.started, 0.0)


def _estimate_seconds_left(grid: Sequence[Experiment], now: float) -> float:
    """Return how long the rest of a sweep or search takes, by what has taken how long; 0 where nothing tells."""
    took = [_seconds(one, now) for one in grid if one.state is State.DONE and _seconds(one, now)]
    if not took:
        return 0.0
    usual = sum(took) / len(took)
    running = [one for one in grid if one.state in UNDER_WAY]
    waiting = sum(one.state is State.WAITING for one in grid)
    if has_more_trials(found := trials_of(grid, grid[0].grid)) and found[-1].search is not None:
        waiting += found[-1].search.trials - found[-1].number
    rest = waiting * usual + sum(max(usual - _seconds(one, now), 0.0) for one in running)
    return rest / max(grid[0].jobs, 1)
