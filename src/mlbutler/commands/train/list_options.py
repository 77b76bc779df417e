"""Choose which experiments a list shows, and in which order."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mlbutler.errors import UsageError
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.ranking import best_first, metric_of
from mlbutler.experiments.state import ENDED, State
from mlbutler.frozen import frozen
from mlbutler.settings import Gate

ListedExperiment = tuple[State, Experiment]
"""An experiment, and its state as it is shown."""

RUNNING = tuple(state for state in State if state not in (*ENDED, State.WAITING))
ORDER = (State.RUNNING, State.STALLED, State.SAVING, State.PREPARING, State.LOST, State.WAITING)
"""Those under way first; all others come after them."""


@frozen
class ListOptions:
    """Which experiments to list.

    Attributes:
        names: patterns, sweeps, beginnings of ids; all if empty. states: only those in one of them; any if empty.
        since: sent in the last so many seconds. sort: what they are ordered by: name, sent, took or a metric; '' for
            those under way first. mine: only those that this user has sent.
    """

    names: Sequence[str] = ()
    states: Sequence[str] = ()
    since: float | None = None
    sort: str = ""
    mine: bool = False


def select_experiments(
    wanted: ListOptions,
    found: Sequence[ListedExperiment],
    gates: Sequence[Gate] = (),
    now: Callable[[], float] = time.time,
) -> list[ListedExperiment]:
    """Return those of `found` that are wanted, in the order that is wanted.

    Args:
        gates: whose goals tell which way a metric is better.

    Raises:
        UsageError: the order is by something that no experiment has.
    """
    chosen = [pair for pair in found if not wanted.states or pair[0] in wanted.states]
    if wanted.since is not None:
        after = now() - wanted.since
        chosen = [pair for pair in chosen if pair[1].submitted >= after]
    if not wanted.sort:
        return sorted(chosen, key=lambda pair: ORDER.index(pair[0]) if pair[0] in ORDER else len(ORDER))
    if wanted.sort in _KEYS:
        return sorted(chosen, key=lambda pair: _KEYS[wanted.sort](pair[1]))
    return _sort_by_metric(wanted.sort, chosen, gates)


_KEYS: Mapping[str, Callable[[Experiment], Any]] = {
    "name": lambda one: one.name,
    "sent": lambda one: -one.submitted,
    "took": lambda one: one.ended - one.started if one.ended is not None and one.started is not None else math.inf,
}
"""Orders that are no metric's."""


def _sort_by_metric(name: str, chosen: Sequence[ListedExperiment], gates: Sequence[Gate]) -> list[ListedExperiment]:
    """Return the experiments with the best value of a metric first, and those without one last.

    Raises:
        UsageError: there are metrics, and none of this name.
    """
    known = sorted({metric.name for _, one in chosen for metric in one.metrics})
    if known and all(metric_of(one, name) is None for _, one in chosen):
        raise UsageError(
            f"--sort: no experiment has a metric '{name}'.", f"Name one of: {', '.join((*_KEYS, *known))}."
        )
    states = {one.id: state for state, one in chosen}
    return [(states[one.id], one) for one in best_first((one for _, one in chosen), name, gates)]
