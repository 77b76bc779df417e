"""What becomes of an experiment when an attempt has ended."""

from __future__ import annotations

from mlbutler.experiments.attempt_end import AttemptEnd, after_attempt
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.state import State

ONE = Experiment(id="", name="a", grid="a", baseline="", input="", state=State.RUNNING, attempt=1)
LOST = AttemptEnd(State.LOST, "mlbutler was stopped from outside (killed by SIGKILL)")


def test_what_was_to_be_cancelled_is_cancelled_by_who_asked_and_not_by_what_ended_its_process() -> None:
    ended = after_attempt(ONE.with_(cancel=30.0, cancelled_by="ada"), LOST)
    assert (ended.state, ended.reason) == (State.CANCELLED, "by ada")
    ended = after_attempt(ONE.with_(cancel=30.0, cancelled_by="ada"), AttemptEnd(State.CANCELLED, "none of it is left"))
    assert ended.reason == "by ada; none of it is left"
    assert after_attempt(ONE.with_(cancel=30.0), LOST).reason == ""


def test_what_was_lost_waits_again_and_what_failed_has_failed_though_somebody_asked() -> None:
    assert after_attempt(ONE, LOST).state is State.WAITING
    ended = after_attempt(ONE.with_(cancel=30.0, cancelled_by="ada"), AttemptEnd(State.FAILED, "exit code 1"))
    assert (ended.state, ended.reason) == (State.FAILED, "exit code 1")
