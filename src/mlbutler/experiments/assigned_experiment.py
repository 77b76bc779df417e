"""The experiment that a CI server's build was given: one attempt claims it, and no other one may change it then."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

from mlbutler.errors import Interrupted, UsageError
from mlbutler.experiments.attempt_end import CANCELLED, AttemptEnd, after_loss
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.refs import StoredExperiment
from mlbutler.experiments.shared import SharedExperiments
from mlbutler.experiments.state import ENDED, UNDER_WAY, State
from mlbutler.frozen import frozen

ABORTED = "the build was aborted: its page says by whom"
_AT_WORK = "another build is at it"


@frozen
class Claim:
    """The answer to a claim. `reason`: why no attempt has begun, '' where one has."""

    stored: StoredExperiment
    reason: str


class AssignedExperiment:
    """One experiment, as the attempts of one build see it.

    Args:
        id: of the experiment. build: the build's URL. agent: the name of the machine that it runs on.
    """

    def __init__(self, experiments: SharedExperiments, id: str, build: str, agent: str) -> None:
        self._experiments, self._id, self._build, self._agent = experiments, id, build, agent
        self._kept: StoredExperiment | None = None
        self._sent: Experiment | None = None

    def claim(self) -> Claim:
        """Begin an attempt, unless it has ended or another build is at it.

        An attempt of this very build is over: its agent was lost, or the build would not ask.

        Raises:
            UsageError: there is no such experiment.
        """
        reason = ""

        def begin(now: Experiment) -> Experiment | None:
            nonlocal reason
            after, reason = self._begin_attempt(now)
            return after

        self._kept = kept = self._experiments.change(self._id, begin)
        if kept is None:
            raise UsageError(f"There is no experiment {self._id}.", "`mlbutler train list` shows them.")
        return Claim(kept, reason)

    def _begin_attempt(self, now: Experiment) -> tuple[Experiment | None, str]:
        """Return the experiment as this attempt begins it (None: as it is), and why it does not."""
        if now.state in ENDED:
            return None, f"it is {now.state} already"
        if now.state in UNDER_WAY:
            if not self._is_mine(now):
                return None, f"{_AT_WORK}: {now.build}"
            now = after_loss(now, f"the agent {now.agent} was lost")
            if now.state in ENDED:
                return now, now.reason
        if now.cancel is not None:
            return CANCELLED.apply_to(now), "it was cancelled"
        return now.with_(
            state=State.PREPARING, started=time.time(), ended=None, attempt=now.attempt + 1, reason="", remedy="",
            build=self._build, agent=self._agent,
        ), ""  # fmt: skip

    def _is_mine(self, now: Experiment) -> bool:
        """Tell whether this build has begun it; the controller's own address may have changed since."""
        return _number(now.build) == _number(self._build)

    def change(
        self, attempt: int, change: Callable[[Experiment], Experiment | None], log: bytes | None = None
    ) -> Experiment:
        """Change what is kept of an attempt, as long as it is this one.

        What was kept when the call before failed, because the remote's answer was lost, is not changed again.

        Raises:
            Interrupted: another attempt has begun, or it was ended from elsewhere: nothing is changed.
        """

        def change_if_current(now: Experiment) -> Experiment | None:
            if now == self._sent:
                return None
            self.require_current(now, attempt)
            self._sent = change(now)
            return self._sent

        self._kept, known = None, self._kept  # unless all goes well, the next change looks
        self._kept = kept = self._experiments.change(self._id, change_if_current, log, known)
        if kept is None:
            raise Interrupted("The experiment was removed.", "Nothing of this attempt is kept.")
        self._sent = None
        return kept.experiment

    def require_current(self, now: Experiment, attempt: int) -> None:
        """Refuse an attempt that is not under way any more.

        Raises:
            Interrupted: it is not.
        """
        if now.attempt != attempt or not self._is_mine(now):
            raise Interrupted(
                f"Attempt {attempt} of {now.name} was replaced by attempt {now.attempt}, {now.build}.",
                "Nothing of this attempt is kept; the other one runs the same.",
            )
        if now.state not in UNDER_WAY:
            raise Interrupted(f"{now.name} is {now.state} already.", "Nothing more of this attempt is kept.")

    def end_unprepared(self, attempt: int, end: AttemptEnd) -> Experiment:
        """End an attempt that failed before the project's code ran; return the experiment.

        Args:
            end: `LOST` where another agent may be able to: it waits for the next attempt then, if there is to be one.
        """

        def end_attempt(now: Experiment) -> Experiment:
            if end.state is not State.LOST:
                return end.apply_to(now)
            after = after_loss(now, end.reason, f"could not be prepared on {self._agent}")
            return after if after.state is State.WAITING else dataclasses.replace(end, state=after.state).apply_to(now)

        return self.change(attempt, end_attempt)

    def mark_aborted(self, now: Experiment) -> Experiment | None:
        """Return the experiment as cancelled, where the build was aborted before running it; None to leave it."""
        if now.state is State.WAITING or (now.state in UNDER_WAY and self._is_mine(now)):
            return AttemptEnd(State.CANCELLED, ABORTED).apply_to(now)
        return None


def _number(build: str) -> str:
    """Return the part of a build's address that says which it is."""
    return build.partition("/job/")[2] or build
