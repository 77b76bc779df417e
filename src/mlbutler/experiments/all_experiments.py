"""Experiments wherever they run: those of this repository, and those that its remote has."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from mlbutler.errors import AccessDenied, GitError, MlbutlerError
from mlbutler.experiments.choices import JENKINS
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.local import LocalEngine
from mlbutler.experiments.refs import DamagedRef, Experiments, StoredExperiment, sort_by_submission
from mlbutler.experiments.shared import SharedExperiments
from mlbutler.experiments.state import ENDED, State

if TYPE_CHECKING:
    from mlbutler.experiments.on_jenkins import JenkinsEngine


class AllExperiments:
    """Read and change experiments, each where it is kept.

    Args:
        here: those that run on this machine. shared: those on the Git remote, None where none is configured.
        warn: takes a sentence when the remote does not answer, and what it had when it was asked last is shown.

    Attributes:
        damaged: the refs that held no experiment when `all` was called last.
    """

    def __init__(self, here: Experiments, shared: SharedExperiments | None, warn: Callable[[str], None]) -> None:
        self.here, self.shared, self._warn = here, shared, warn
        self._warned = ""
        self.damaged: tuple[DamagedRef, ...] = ()

    def all(self) -> tuple[StoredExperiment, ...]:
        """Return every experiment in the order of submission; of two with the same id the one that was sent last."""
        here, self.damaged = self.here.survey()
        if self.shared is None:
            return here
        try:
            there, damaged = self.shared.survey()
        except (GitError, AccessDenied) as error:
            if error.message != self._warned:  # who waits asks again and again
                self._warn(f"{error.message} What it had when it was asked last is shown.")
            self._warned = error.message
            there, damaged = self.shared.fetched()
        self.damaged += damaged
        return latest_of_each((*here, *there))

    def read(self, id: str) -> StoredExperiment | None:
        """Return one experiment as it is now, None where there is no such one."""
        here = self.here.read(id)
        there = self.shared.read(id) if self.shared is not None and here is None else None
        return here or there

    def again(self, kept: StoredExperiment) -> StoredExperiment | None:
        """Return an experiment as it is now, from where it was read."""
        return self.of(kept.experiment).read(kept.experiment.id)

    def of(self, experiment: Experiment) -> Experiments:
        """Return where this experiment is kept."""
        return self.shared if self.shared is not None and experiment.engine == JENKINS else self.here

    def log(self, kept: StoredExperiment) -> bytes | None:
        """Return the log that was kept with it; None while there is none."""
        return self.of(kept.experiment).log(kept)


def latest_of_each(found: Iterable[StoredExperiment]) -> tuple[StoredExperiment, ...]:
    """Return experiments in the order of submission, of two with the same id the one that was sent last."""
    return sort_by_submission({kept.experiment.id: kept for kept in sort_by_submission(found)}.values())


class Engines:
    """What runs experiments: this machine, and a Jenkins controller where one is configured.

    Args:
        open_jenkins: connects to the controller when it is first needed, None for none.
    """

    def __init__(self, local: LocalEngine, open_jenkins: Callable[[], JenkinsEngine] | None) -> None:
        self.local, self._open_jenkins = local, open_jenkins
        self._jenkins: JenkinsEngine | None = None
        self._said = ""

    @property
    def has_jenkins(self) -> bool:
        """Return whether a controller is configured."""
        return self._open_jenkins is not None

    @property
    def jenkins(self) -> JenkinsEngine:
        """Return the engine for the controller, which must be configured."""
        assert self._open_jenkins is not None
        if self._jenkins is None:
            self._jenkins = self._open_jenkins()
        return self._jenkins

    def complaint(self) -> str:
        """Return why the controller does not answer, each reason once; '' for none."""
        said = self.silent.message if self.silent is not None else ""
        new, self._said = said if said != self._said else "", said
        return new

    @property
    def silent(self) -> MlbutlerError | None:
        """Return why the controller did not answer when it was asked last; None where it did, or was not asked."""
        return self._jenkins.silent if self._jenkins is not None else None

    def of_jenkins(self, experiment: Experiment) -> bool:
        """Return whether the controller runs it, or is to."""
        return self.has_jenkins and experiment.engine == JENKINS

    def shown(self, experiment: Experiment) -> State:
        """Return the state to show: an experiment whose process, or build, is gone is lost."""
        if experiment.engine == JENKINS:
            return self._jenkins.shown(experiment) if self._jenkins is not None else experiment.state
        return self.local.shown(experiment)

    def look(self, experiments: AllExperiments, found: tuple[StoredExperiment, ...]) -> tuple[StoredExperiment, ...]:
        """Ask the controller about those that have not ended; return them all as they are then.

        One whose build has ended since its state was read has not been lost by that: its state is read again.
        """
        if not any(self.of_jenkins(one.experiment) and one.experiment.state not in ENDED for one in found):
            return found
        self.jenkins.look([one.experiment for one in found])
        now = []
        for one in found:
            lost = one.experiment.engine == JENKINS and self.shown(one.experiment) is State.LOST
            if (kept := experiments.again(one) if lost else one) is not None:
                now.append(kept)
        return tuple(now)
