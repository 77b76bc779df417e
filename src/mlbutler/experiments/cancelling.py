"""End experiments on a controller's agents: softly first, and by force where that does not help."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from mlbutler.experiments.attempt_end import AttemptEnd
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.on_jenkins import EXPERIMENT, JenkinsEngine
from mlbutler.experiments.state import ENDED, UNDER_WAY, State
from mlbutler.jenkins import queue
from mlbutler.jenkins.builds import ENDINGS

STOP, GRACE = "Stop", "GRACE"
"""The question that a build asks while it runs an experiment, and what may be given with the answer."""
_TIMEOUT = 60.0
"""Seconds beyond the grace that a build has to save what there is."""
_HARDER = 15.0
"""Seconds between one way of ending a build and the next, harder one."""
_POLL = 1.0
_BY_FORCE = "its build was ended by force: what it had not saved is lost"


class Cancelling:
    """Cancel experiments, several at once.

    Args:
        say: takes a sentence of what is done.
    """

    def __init__(self, engine: JenkinsEngine, say: Callable[[str], None]) -> None:
        self._engine, self._say = engine, say
        self._job = engine.job

    def cancel(self, experiments: Sequence[Experiment], grace: float, *, now: bool) -> Iterator[Experiment]:
        """Cancel them and wait until their builds have ended; yield each as it is then.

        Args:
            grace: seconds that the stage has to end by itself. now: use force at once.

        Raises:
            GitError, AccessDenied, OutsideError: remote or controller does not answer; what was asked for stays so.
        """
        by, change = self._job.client.user, self._engine.experiments.change
        found = [change(one.id, lambda each: _request_cancel(each, grace, by)) for one in experiments]
        asked = [one.experiment for one in found if one is not None]
        self._leave_queue([one for one in asked if one.state is State.CANCELLED])
        running = [one for one in asked if one.state in UNDER_WAY]
        left = running if now else self._softly(running, grace)
        forced = {one.id for one in left if self._goes_on(one)}
        for how in ENDINGS:
            left = self._end_builds(left, how)
        stuck = {one.id for one in left}
        for one in asked:
            kept = None
            if one in running and one.id not in stuck:
                said = _BY_FORCE if one.id in forced else "its build has ended"
                kept = self._engine.experiments.change(one.id, lambda each, said=said: _mark_cancelled(each, said))  # type: ignore[misc]
            kept = kept or self._engine.experiments.read(one.id)
            if kept is not None:
                yield kept.experiment

    def _leave_queue(self, experiments: Sequence[Experiment]) -> None:
        """Take the builds of experiments that had not begun out of the queue, and end those that wait for an agent."""
        ids = {one.id for one in experiments}
        if not ids:
            return
        for item in queue.waiting(self._job.client):
            if item.parameters.get(EXPERIMENT) in ids and self._job.is_mine(item):
                queue.cancel(self._job.client, item.id)
        for build in self._job.builds():
            if build.building and build.parameters.get(EXPERIMENT) in ids:
                self._job.end(build.number, ENDINGS[0])

    def _softly(self, experiments: Sequence[Experiment], grace: float) -> list[Experiment]:
        """Ask builds to end, each as soon as it asks whether it is to; return the experiments whose builds go on.

        One that prepares or saves does not ask: it looks whether it is cancelled before it goes on.
        """
        until = time.monotonic() + grace + _TIMEOUT
        left, asked = list(experiments), set[str]()
        while left := [one for one in left if self._goes_on(one)]:
            asked |= {one.id for one in left if one.id not in asked and self._ask(one, grace)}
            if time.monotonic() > until:
                break
            time.sleep(_POLL)
        return left

    def _ask(self, experiment: Experiment, grace: float) -> bool:
        """Answer the build's question whether it is to stop; return whether it asked it."""
        number = self._job.number(experiment.build)
        if number is None or not self._job.proceed(number, STOP, {GRACE: str(round(grace))}):
            return False
        self._say(f"{experiment.name}: asked to end within {grace:.0f} s")
        return True

    def _wait_for_ends(self, experiments: Sequence[Experiment], seconds: float) -> list[Experiment]:
        """Wait for builds to end; return the experiments whose builds have not."""
        until = time.monotonic() + seconds
        left = list(experiments)
        while True:
            left = [one for one in left if self._goes_on(one)]
            if not left or time.monotonic() > until:
                return left
            time.sleep(_POLL)

    def _goes_on(self, experiment: Experiment) -> bool:
        number = self._job.number(experiment.build)
        build = self._job.build(number) if number is not None else None
        return build is not None and build.building

    def _end_builds(self, experiments: Sequence[Experiment], how: str) -> list[Experiment]:
        """End builds in one way; return the experiments whose builds go on all the same."""
        for one in experiments:
            number = self._job.number(one.build)
            if number is not None and self._goes_on(one):
                self._say(f"{one.name}: {how} of build {number}")
                self._job.end(number, how)
        return self._wait_for_ends(experiments, _HARDER)


def _request_cancel(now: Experiment, grace: float, by: str) -> Experiment | None:
    if now.state is State.WAITING:
        return AttemptEnd(State.CANCELLED, "before it began").apply_to(now.with_(cancel=grace, cancelled_by=by))
    return now.with_(cancel=grace, cancelled_by=by) if now.state in UNDER_WAY else None


def _mark_cancelled(now: Experiment, reason: str) -> Experiment | None:
    """Return an experiment whose build has ended without saving its end."""
    if now.state in ENDED:
        return None
    return AttemptEnd(State.CANCELLED, reason).apply_to(now)
