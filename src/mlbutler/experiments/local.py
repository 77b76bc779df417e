"""The engine of this machine: which experiments are its own, which are running, and which were lost."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from pathlib import Path

from mlbutler.experiments.attempt_end import AttemptEnd, after_loss
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.log import read_log
from mlbutler.experiments.refs import Experiments, StoredExperiment
from mlbutler.experiments.shutdown import end_leftovers
from mlbutler.experiments.state import UNDER_WAY, State
from mlbutler.experiments.train_folder import TrainFolder


class LocalEngine:
    """Run experiments of one work tree on this machine."""

    def __init__(self, experiments: Experiments, folder: TrainFolder) -> None:
        self._experiments, self._folder = experiments, folder

    def own_experiments(self, among: Iterable[StoredExperiment] | None = None) -> list[StoredExperiment]:
        """Return the experiments that were submitted from this work tree, in their order.

        Args:
            among: those that were read a moment ago; all are read if None.
        """
        here = os.fspath(self._folder.root)
        return [one for one in (self._experiments.all() if among is None else among)
                if one.experiment.host == host_name() and one.experiment.place == here
                and self._folder.has_sent(one.experiment.id)]  # fmt: skip

    def recover(self) -> list[Experiment]:
        """End what is left of lost experiments, and have them wait for another attempt.

        Returns:
            Those that were lost, as they are now.
        """
        found = []
        for kept in self.own_experiments():
            experiment = kept.experiment
            if experiment.state in UNDER_WAY:
                with self._folder.lock(experiment.id) as ours:
                    now = self._recover(experiment.id) if ours else None
                found += [now] if now is not None else []
        return found

    def _recover(self, id: str) -> Experiment | None:
        left = end_leftovers(id, self._folder.scratch(id))
        if left:  # it would work on beside its replacement
            return None

        def mark_lost(now: Experiment) -> Experiment | None:
            if now.state not in UNDER_WAY:
                return None
            if now.cancel is not None:
                said = "none of its processes is left"
                return AttemptEnd(State.CANCELLED, said).apply_to(now)
            return after_loss(now, "the process that ran it is gone")

        now = self._experiments.change(id, mark_lost, read_log(self._folder.log_file(id)))
        return now.experiment if now is not None and now.experiment.cancel is None else None

    def is_idle(self, among: Iterable[StoredExperiment] | None = None) -> bool:
        """Tell whether something here waits, or is lost, and no process works at anything; `among` as for `mine`."""
        due = [
            one.experiment
            for one in self.own_experiments(among)
            if self.effective_state(one.experiment) in (State.WAITING, State.LOST)
        ]
        most = max((one.jobs for one in due), default=0)
        return bool(due) and not any(self._folder.is_locked(f"slot-{number}") for number in range(most))

    def effective_state(self, experiment: Experiment) -> State:
        """Return the state to show: an experiment whose process is gone is lost."""
        return State.LOST if experiment.state in UNDER_WAY and not _is_alive(experiment) else experiment.state


def _is_alive(experiment: Experiment) -> bool:
    """Tell whether a process works at it; on another machine that is not known, and believed."""
    return experiment.host != host_name() or TrainFolder(Path(experiment.place)).is_locked(experiment.id)


def host_name() -> str:
    """Return this machine's name."""
    return socket.gethostname()
