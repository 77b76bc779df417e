"""Whose turn it is: which experiments of a grid may be started now."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mlbutler.train.experiment import Experiment
from mlbutler.train.state import UNDER_WAY, State


def due(grid: Iterable[Experiment], started: Collection[str] = ()) -> list[Experiment]:
    """Return the experiments of one grid that are to be started, in their order: as many as `jobs` leaves room for.

    Args:
        started: ids of those that wait and were started already, in a build that has not begun with them.
    """
    ordered = sorted(grid, key=lambda one: (one.submitted, one.number))
    waiting = [one for one in ordered if one.state is State.WAITING and one.id not in started]
    busy = [one for one in ordered if one.state in UNDER_WAY or (one.state is State.WAITING and one.id in started)]
    most = max((one.jobs for one in (*waiting, *busy)), default=0)
    return waiting[: max(most - len(busy), 0)]
