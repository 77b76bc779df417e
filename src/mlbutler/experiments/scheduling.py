"""Decide which experiments of a grid may start now, when the rest is given up, and whether a search goes on."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Sequence

from mlbutler.experiments.attempt_end import AttemptEnd
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.state import UNDER_WAY, State

_LOST_AFTER = 1800.0
"""Seconds after which a build that was asked for, and has not begun, is asked for again by those that end."""
_FAILED = (State.FAILED, State.NOT_SET_UP, State.TIMED_OUT)


def due_experiments(grid: Iterable[Experiment], started: Collection[str] = ()) -> list[Experiment]:
    """Return the experiments of one grid that are to be started, in their order: as many as `jobs` leaves room for.

    Args:
        started: ids of those that wait and were started already, in a build that has not begun with them.
    """
    ordered = sorted(grid, key=lambda one: (one.submitted, one.number))
    waiting = [one for one in ordered if one.state is State.WAITING and one.id not in started]
    busy = [one for one in ordered if one.state in UNDER_WAY or (one.state is State.WAITING and one.id in started)]
    most = max((one.jobs for one in (*waiting, *busy)), default=0)
    return waiting[: max(most - len(busy), 0)]


def requested_ids(grid: Iterable[Experiment], now: float) -> set[str]:
    """Return the ids of those that wait and have a build requested, recently enough that it may still come."""
    waiting = [one for one in grid if one.state is State.WAITING and one.asked is not None]
    return {one.id for one in waiting if one.asked is not None and now - one.asked < _LOST_AFTER}


def end_by_failures(experiment: Experiment, others: Sequence[Experiment]) -> AttemptEnd | None:
    """Return the end of an experiment that waits, where too many of its sweep have failed since it was sent.

    What failed before somebody had it run again is known to them.

    Args:
        others: experiments, those of its sweep among them.
    """
    most, grid = experiment.max_failures, experiment.grid
    if most is None or experiment.state is not State.WAITING:
        return None
    since = [one for one in others if one.grid == grid and (one.ended or 0) >= experiment.submitted]
    failed = [one.name for one in since if one.state in _FAILED]
    if len(failed) < most:
        return None
    return AttemptEnd(State.CANCELLED, f"{len(failed)} of {grid} failed: {', '.join(failed[:3])}")


def trials_of(found: Iterable[Experiment], grid: str) -> list[Experiment]:
    """Return the trials of a search, in their order."""
    mine = [one for one in found if one.grid == grid and one.search is not None]
    return sorted(mine, key=lambda one: one.number)


def has_more_trials(found: Sequence[Experiment]) -> bool:
    """Return whether further trials are to come after these, which are all of one search, in their order."""
    if not found or found[-1].search is None or found[-1].number >= found[-1].search.trials:
        return False
    return end_by_failures(found[-1].with_(state=State.WAITING), found) is None


def open_searches(found: Iterable[Experiment]) -> dict[str, list[Experiment]]:
    """Return the trials of each search that goes on, by its name."""
    there = list(found)
    each = {one.grid: trials_of(there, one.grid) for one in there if one.search is not None}
    return {grid: members for grid, members in each.items() if has_more_trials(members)}


def is_standing_still(found: Sequence[Experiment]) -> bool:
    """Return whether nothing of a search is under way or waits."""
    return not any(one.state is State.WAITING or one.state in UNDER_WAY for one in found)


def close_search(now: Experiment) -> Experiment | None:
    """Return the last trial of a search that is to have no further ones."""
    if now.search is None or now.search.trials <= now.number:
        return None
    return now.with_(search=dataclasses.replace(now.search, trials=now.number), proposed=())
