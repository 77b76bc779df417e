"""Run experiments as builds of a Jenkins job: start them, and read from the controller how they wait and run.

What became of an experiment is in its state on the Git remote alone, which its build writes. The controller is asked
for what only it knows: why something waits, and whether a build goes on.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence

from mlbutler.errors import MlbutlerError, UsageError
from mlbutler.experiments import log_progress
from mlbutler.experiments.attempt_end import AttemptEnd, after_loss
from mlbutler.experiments.choices import JENKINS
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.log_progress import LogProgress
from mlbutler.experiments.refs import StoredExperiment
from mlbutler.experiments.scheduling import due_experiments, requested_ids
from mlbutler.experiments.shared import SharedExperiments
from mlbutler.experiments.state import UNDER_WAY, State
from mlbutler.frozen import frozen
from mlbutler.jenkins import queue
from mlbutler.jenkins.builds import JenkinsBuild, Job
from mlbutler.jenkins.console_text import end_of
from mlbutler.jenkins.queue import Waiting

EXPERIMENT, LABEL = "EXPERIMENT", "LABEL"
"""Parameters of the job."""
_BUILDS = 200
_SIGNS, _MOST_SIGNS = 10.0, 30
"""Seconds between two looks at the end of a build's log, and the builds at whose logs one command looks."""
_NO_SIGNS = LogProgress("", {})


@frozen
class ControllerSnapshot:
    """What the controller had at one moment: all that waits in its queue, and the job's latest builds."""

    waiting: tuple[Waiting, ...]
    builds: tuple[JenkinsBuild, ...]

    def queued_item(self, job: Job, id: str) -> Waiting | None:
        """Return the experiment's build that waits in the queue."""
        mine = (one for one in self.waiting if one.parameters.get(EXPERIMENT) == id)
        return next((one for one in mine if job.is_mine(one)), None)

    def latest_build(self, id: str) -> JenkinsBuild | None:
        """Return the experiment's latest build."""
        return next((one for one in self.builds if one.parameters.get(EXPERIMENT) == id), None)

    def running_build(self, id: str) -> JenkinsBuild | None:
        """Return the experiment's build that has not ended."""
        return next((one for one in self.builds if one.building and one.parameters.get(EXPERIMENT) == id), None)

    def count_before(self, item: Waiting) -> int:
        """Return how many others wait for the same since earlier."""
        return sum(one.id < item.id and one.why == item.why for one in self.waiting)


class JenkinsEngine:
    """Run experiments as builds of one job.

    Args:
        most_queued: builds of one user that may wait at once.

    Attributes:
        error: why the controller did not answer when it was asked last, None where it did.
    """

    def __init__(self, experiments: SharedExperiments, job: Job, most_queued: int) -> None:
        self.experiments, self.job, self._most_queued = experiments, job, most_queued
        self._snapshot: ControllerSnapshot | None = None
        self._asked: dict[int, JenkinsBuild | None] = {}
        self._all_experiments: Sequence[Experiment] = ()
        self._progress: dict[str, tuple[float, LogProgress]] = {}
        self.error: MlbutlerError | None = None

    def refresh(self, experiments: Sequence[Experiment]) -> None:
        """Ask the controller again; where it does not answer, `error` says why.

        Args:
            experiments: all there are.
        """
        self._asked.clear()
        self._all_experiments = experiments
        try:
            self._snapshot, self.error = self._take_snapshot(), None
        except MlbutlerError as error:
            self._snapshot, self.error = None, error

    def _take_snapshot(self) -> ControllerSnapshot:
        # The queue first: what leaves it between the two is among the builds then.
        waiting = queue.waiting(self.job.client)
        return ControllerSnapshot(waiting, self.job.builds(_BUILDS))

    def check_parameters(self, experiments: Iterable[Experiment]) -> None:
        """Refuse a job that would drop its parameters without a word.

        Raises:
            UsageError: there is no such job, or it does not have the parameters.
        """
        needed = {EXPERIMENT} | ({LABEL} if any(one.label for one in experiments) else set())
        if missing := sorted(needed - self.job.parameter_names()):
            raise UsageError(
                f"The job '{self.job.name}' has no parameter {' and '.join(missing)}.",
                "Build it once from Jenkinsfile.train, which declares them (`mlbutler help jenkins`).",
            )

    def effective_state(self, experiment: Experiment) -> State:
        """Return the state to show: an experiment whose build has ended without saving an end is lost."""
        if experiment.state not in UNDER_WAY or self._snapshot is None:
            return experiment.state
        number = self.job.number(experiment.build)
        return experiment.state if number is None or self._goes_on(number) else State.LOST

    def _goes_on(self, number: int) -> bool:
        assert self._snapshot is not None
        seen = next((one for one in self._snapshot.builds if one.number == number), None)
        if seen is None:
            if number not in self._asked:
                self._asked[number] = self._read_build(number)
            seen = self._asked[number]
        return seen is not None and seen.building

    def _read_build(self, number: int) -> JenkinsBuild | None:
        try:
            return self.job.build(number)
        except MlbutlerError:  # nothing is known of it: it is taken to go on
            return JenkinsBuild(number, building=True, result="", started=0.0, parameters={})

    def waiting_reason(self, experiment: Experiment) -> str:
        """Return why an experiment waits, and how many are before it."""
        if self._snapshot is None:
            return experiment.reason
        if (item := self._snapshot.queued_item(self.job, experiment.id)) is not None:
            before = self._snapshot.count_before(item)
            return f"{item.why or 'in the queue'}{_and_before(before)}"
        if (build := self._snapshot.running_build(experiment.id)) is not None:
            return self._waiting_for_agent(build)
        build = self._snapshot.latest_build(experiment.id)
        if build is not None and build.started > experiment.submitted and not experiment.reason:
            url = self.job.build_url(build.number)
            return f"build {build.number} ended before it began ({build.result}): see {url}"
        grid = [self._with_effective_state(one) for one in self._all_experiments if one.grid == experiment.grid]
        if experiment.id in {one.id for one in due_experiments(grid, self.started_ids())}:
            return experiment.reason or "nothing has started it"
        earlier = sum(one.state is State.WAITING and one.number < experiment.number for one in grid)
        return f"{experiment.jobs} at once{_and_before(earlier)}"

    def _waiting_for_agent(self, build: JenkinsBuild) -> str:
        """Return why a build that has begun waits for an agent: its step's reason in the queue."""
        assert self._snapshot is not None
        step = next((one for one in self._snapshot.waiting if self.job.number(one.task) == build.number), None)
        if step is None:
            return f"build {build.number} has begun"
        return f"{step.why}{_and_before(self._snapshot.count_before(step))}"

    def progress(self, experiment: Experiment) -> LogProgress:
        """Return what the end of its build's log says of how far it is; of very many builds only some are asked."""
        asked, found = self._progress.get(experiment.id, (float("-inf"), _NO_SIGNS))
        too_many = experiment.id not in self._progress and len(self._progress) >= _MOST_SIGNS
        if time.monotonic() < asked + _SIGNS or self.error is not None or too_many:
            return found
        number = self.job.number(experiment.build)
        with contextlib.suppress(MlbutlerError):
            found = (
                log_progress.read_progress(end_of(self.job, number, log_progress.TAIL)) if number is not None else found
            )
        self._progress[experiment.id] = time.monotonic(), found
        return found

    def started_ids(self) -> set[str]:
        """Return the ids of experiments with a build that waits or runs."""
        if self._snapshot is None:
            return set()
        found = {one.parameters[EXPERIMENT] for one in self._snapshot.waiting if EXPERIMENT in one.parameters}
        return found | {one.parameters[EXPERIMENT] for one in self._snapshot.builds
                        if one.building and EXPERIMENT in one.parameters}  # fmt: skip

    def due_experiments(self, kept: Iterable[StoredExperiment]) -> list[Experiment]:
        """Return the experiments whose turn it is and that no build waits or runs for, as far as was seen.

        Args:
            kept: all experiments of their grids.
        """
        here = [one.experiment for one in kept if one.experiment.engine == JENKINS]
        started, found = self.started_ids(), []
        for grid in dict.fromkeys(one.grid for one in here if one.state is State.WAITING):
            members = [self._with_effective_state(one) for one in here if one.grid == grid]
            found += due_experiments(members, started)
        room: dict[str, int] = {}
        for one in here:
            if one.state is State.WAITING and one.id in started:
                room[one.user] = room.get(one.user, 0) + 1
        chosen = []
        for one in found:
            room[one.user] = room.get(one.user, 0) + 1
            if room[one.user] <= self._most_queued:
                chosen.append(one)
        return chosen

    def start(self, kept: Iterable[StoredExperiment], begun: Callable[[Experiment], None] = lambda _: None) -> None:
        """Start builds of experiments whose turn it is and that have none.

        Called again it starts none twice: what waits in the queue or runs is found by its parameter. Two that start the
        same at one moment do no harm: the build that comes second finds it taken.

        Args:
            kept: all experiments of their grids. begun: takes each when its build was asked for.

        Raises:
            UsageError, AccessDenied, OutsideError: the controller does not take it; what was started stays.
        """
        self._snapshot, self.error = self._take_snapshot(), None
        self._asked.clear()
        for one in self.due_experiments(kept):
            if (end := self._change_after_failed_builds(one)) is not None:
                self.experiments.change(one.id, end)
                continue
            self.job.start({EXPERIMENT: one.id} | ({LABEL: one.label} if one.label else {}))
            begun(one)
            if one.id not in requested_ids([one], time.time()):
                self.experiments.change(one.id, _mark_requested)

    def _change_after_failed_builds(self, experiment: Experiment) -> Callable[[Experiment], Experiment | None] | None:
        """Return a change that ends an experiment whose builds came to nothing, each before it began with it."""
        assert self._snapshot is not None
        failed = [one for one in self._snapshot.builds if one.parameters.get(EXPERIMENT) == experiment.id
                  and one.started > experiment.submitted and one.result in ("FAILURE", "ABORTED")]  # fmt: skip
        if len(failed) - experiment.attempt <= experiment.retries:
            return None
        ended = failed[0]
        said = f"{len(failed)} builds ended before they began with it, the last one as {ended.result}"
        remedy = f"See {self.job.build_url(ended.number)}, and send it again."

        def change(now: Experiment) -> Experiment | None:
            if (now.state, now.attempt) != (State.WAITING, experiment.attempt):
                return None
            return now.with_(state=State.NOT_SET_UP, ended=time.time(), reason=said, remedy=remedy)

        return change

    def _with_effective_state(self, experiment: Experiment) -> Experiment:
        """Return the experiment, one that is lost as one that takes no room."""
        lost = self.effective_state(experiment) is State.LOST
        return experiment.with_(state=State.LOST) if lost else experiment

    def recover(self, kept: Iterable[StoredExperiment]) -> None:
        """Have experiments wait again whose build has ended without saving an end."""
        for one in kept:
            if one.experiment.engine == JENKINS and self.effective_state(one.experiment) is State.LOST:
                self.experiments.change(one.experiment.id, _again(one.experiment))


def _mark_requested(now: Experiment) -> Experiment | None:
    return now.with_(asked=time.time()) if now.state is State.WAITING else None


def _again(lost: Experiment) -> Callable[[Experiment], Experiment | None]:
    def change(now: Experiment) -> Experiment | None:
        if now.state not in UNDER_WAY or (now.attempt, now.build) != (lost.attempt, lost.build):
            return None
        if now.cancel is not None:
            return AttemptEnd(State.CANCELLED, "its build has ended").apply_to(now)
        return after_loss(now, f"its build ended without saving: {now.build}")

    return change


def _and_before(count: int) -> str:
    return f", {count} before it" if count else ""
