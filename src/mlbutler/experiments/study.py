"""Propose the next point of a search by Optuna's default sampler, given the results of earlier trials.

Nothing is kept of a study: it is made again from the experiments, wherever somebody needs the next point.
"""

from __future__ import annotations

import hashlib
import itertools
import warnings
from collections.abc import Iterator
from typing import Any

from mlbutler.errors import UsageError
from mlbutler.experiments.experiment import Experiment, Search
from mlbutler.experiments.ranking import metric_of
from mlbutler.experiments.state import ENDED, State
from mlbutler.extras import how_to_get
from mlbutler.project.search_space import Choice, Dimension, Space, Value

_OF_THE_POINT = (State.DONE, State.FAILED, State.TIMED_OUT)
"""In these an experiment without a value says something of its point: it is a bad one."""
_ASKS = 100
"""Points that are asked for until a space that has an end is gone through from its beginning."""


class Study:
    """The study of one search, which proposes one point.

    Args:
        name: of what the point is for: the same one gives the same point.

    Raises:
        UsageError: Optuna is not installed here.
    """

    def __init__(self, space: Space, search: Search, name: str) -> None:
        self._optuna = _optuna()
        self._space, self._search = space, search
        self._distributions = {one.key: self._distribution(one) for one in space.dimensions}
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
        with warnings.catch_warnings():  # of features that may change
            warnings.simplefilter("ignore")
            sampler = self._optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        self._study = self._optuna.create_study(direction=search.goal, sampler=sampler)

    def _distribution(self, one: Dimension) -> Any:
        kinds = self._optuna.distributions
        if isinstance(one, Choice):
            if one.ordered:
                return kinds.IntDistribution(0, len(one.texts) - 1)
            return kinds.CategoricalDistribution(one.texts)
        kind = kinds.IntDistribution if one.whole else kinds.FloatDistribution
        return kind(one.low, one.high, log=one.log)

    def remember(self, experiment: Experiment) -> None:
        """Add a trial's result: its value, that it has failed, or that it is not known yet."""
        values = self._space.values(experiment.overrides)
        if values is None:
            return
        states = self._optuna.trial.TrialState
        value = metric_of(experiment, self._search.metric)
        if experiment.state not in ENDED:
            state = states.RUNNING
        elif value is not None:
            state = states.COMPLETE
        else:  # the sampler keeps away from where programs fail, and learns nothing from what agents could not do
            state = states.PRUNED if experiment.state in _OF_THE_POINT else states.FAIL
        self._study.add_trial(self._optuna.trial.create_trial(
            state=state, params=values, distributions=self._distributions,
            value=value if state is states.COMPLETE else None,
        ))  # fmt: skip

    def points(self) -> Iterator[tuple[str, ...]]:
        """Yield points, the best guess first, as overrides; those of a space that has an end until all were there."""
        asked = (self._study.ask(self._distributions).params for _ in range(_ASKS))
        rest: Iterator[dict[str, Value]] = self._space.every() if self._space.size is not None else iter(())
        for values in itertools.chain(asked, rest):
            yield self._space.overrides(values)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise UsageError("A search needs Optuna, which is not installed here.", how_to_get("search")) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
