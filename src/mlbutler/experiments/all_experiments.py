"""All experiments together: those that run on this machine, and those on the Git remote, which Jenkins runs."""

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
        local: those that run on this machine. shared: those on the Git remote, None where none is configured.
        warn: takes a sentence when the remote does not answer, and what it had when it was asked last is shown.

    Attributes:
        damaged: the refs that held no experiment when `all` was called last.
    """

    def __init__(self, local: Experiments, shared: SharedExperiments | None, warn: Callable[[str], None]) -> None:
        self.local, self.shared, self._warn = local, shared, warn
        self._warned = ""
        self.damaged: tuple[DamagedRef, ...] = ()

    def all(self) -> tuple[StoredExperiment, ...]:
        """Return every experiment in the order of submission; of two with the same id the one that was sent last."""
        here, self.damaged = self.local.survey()
        if self.shared is None:
            return here
        try:
            there, damaged = self.shared.survey()
        except (GitError, AccessDenied) as error:
            if error.message != self._warned:  # who waits asks again and again
                self._warn(f"{error.message} What it had when it was asked last is shown.")
            self._warned = error.message
            there, damaged = self.shared.survey_fetched()
        self.damaged += damaged
        return latest_of_each((*here, *there))

    def read(self, id: str) -> StoredExperiment | None:
        """Return one experiment as it is now, None where there is no such one."""
        here = self.local.read(id)
        there = self.shared.read(id) if self.shared is not None and here is None else None
        return here or there

    def reread(self, kept: StoredExperiment) -> StoredExperiment | None:
        """Return an experiment as it is now, read from the repository that it came from."""
        return self.repository_of(kept.experiment).read(kept.experiment.id)

    def repository_of(self, experiment: Experiment) -> Experiments:
        """Return the experiments that this one is kept among: those here, or those on the remote."""
        return self.shared if self.shared is not None and experiment.engine == JENKINS else self.local

    def log(self, kept: StoredExperiment) -> bytes | None:
        """Return the log that was kept with it; None while there is none."""
        return self.repository_of(kept.experiment).log(kept)


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

    def unreported_error(self) -> str:
        """Return why the controller does not answer, where that was not returned before; '' otherwise."""
        said = self.jenkins_error.message if self.jenkins_error is not None else ""
        new, self._said = said if said != self._said else "", said
        return new

    @property
    def jenkins_error(self) -> MlbutlerError | None:
        """Return why the controller did not answer when it was asked last; None where it did, or was not asked."""
        return self._jenkins.error if self._jenkins is not None else None

    def runs_on_jenkins(self, experiment: Experiment) -> bool:
        """Return whether the controller runs it, or is to."""
        return self.has_jenkins and experiment.engine == JENKINS

    def effective_state(self, experiment: Experiment) -> State:
        """Return the state to show: an experiment whose process, or build, is gone is lost."""
        if experiment.engine == JENKINS:
            return self._jenkins.effective_state(experiment) if self._jenkins is not None else experiment.state
        return self.local.effective_state(experiment)

    def refresh(self, experiments: AllExperiments, found: tuple[StoredExperiment, ...]) -> tuple[StoredExperiment, ...]:
        """Ask the controller about those that have not ended; return all of them with their new states.

        One whose build has ended since its state was read has not been lost by that: its state is read again.
        """
        if not any(self.runs_on_jenkins(one.experiment) and one.experiment.state not in ENDED for one in found):
            return found
        self.jenkins.refresh([one.experiment for one in found])
        now = []
        for one in found:
            lost = one.experiment.engine == JENKINS and self.effective_state(one.experiment) is State.LOST
            if (kept := experiments.reread(one) if lost else one) is not None:
                now.append(kept)
        return tuple(now)
