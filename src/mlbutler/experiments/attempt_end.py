"""How an attempt at an experiment ended, read from its run's record, and the experiment's state after it."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from mlbutler.errors import EXIT_PASSED
from mlbutler.experiments.experiment import Experiment, Measure, StageNote
from mlbutler.experiments.state import State
from mlbutler.frozen import frozen
from mlbutler.process import explain_exit
from mlbutler.record import Outcome, Record, ReproduceResult
from mlbutler.secrets import Redactor

_STEPS = ("plan", "sync", "reproduce")
_TAIL = 20
_WELL = (Outcome.PASSED, Outcome.SKIPPED)


@frozen
class AttemptEnd:
    """How an attempt ended, as fields of the experiment."""

    state: State
    reason: str
    remedy: str = ""
    tail: tuple[str, ...] = ()
    stages: tuple[StageNote, ...] = ()
    result: str = ""
    metrics: tuple[Measure, ...] = ()

    def apply_to(self, experiment: Experiment) -> Experiment:
        """Return the experiment with this end."""
        by = f"by {experiment.cancelled_by}" if self.state is State.CANCELLED and experiment.cancelled_by else ""
        return experiment.with_(
            state=self.state, reason="; ".join(filter(None, (by, self.reason))), remedy=self.remedy, tail=self.tail,
            stages=self.stages, result=self.result, metrics=self.metrics, ended=time.time(),
        )  # fmt: skip

    def redacted(self, redactor: Redactor) -> AttemptEnd:
        """Return the same end without credentials: it is kept."""
        hide = redactor.hide
        tail = tuple(map(hide, self.tail))
        return dataclasses.replace(self, reason=hide(self.reason), remedy=hide(self.remedy), tail=tail)

    def last_lines(self) -> tuple[str, ...]:
        """Return what the failed stage printed last, under a heading: who looks at the log's end looks for that."""
        failed = next((stage.name for stage in self.stages if stage.outcome == "failed"), None)
        return (f"\n== the last lines of stage {failed}", *self.tail) if failed is not None and self.tail else ()


CANCELLED = AttemptEnd(State.CANCELLED, "")


def after_loss(experiment: Experiment, why: str, what: str = "was lost") -> Experiment:
    """Return an experiment whose attempt was lost: waiting for another attempt, or given up.

    Args:
        what: became of the attempt.
    """
    if experiment.attempt <= experiment.retries:
        return experiment.with_(state=State.WAITING, reason=f"attempt {experiment.attempt} {what}: {why}")
    return experiment.with_(
        state=State.NOT_SET_UP, ended=time.time(), reason=f"lost {experiment.attempt} times, at last: {why}",
        remedy="Look after the machine's memory (dmesg shows who was killed), and submit it again.",
    )  # fmt: skip


def after_attempt(now: Experiment, end: AttemptEnd) -> Experiment:
    """Return an experiment with the end of its attempt: a lost one waits again, unless it was to be cancelled."""
    if end.state is not State.LOST:
        return end.apply_to(now)
    if now.cancel is not None:
        return dataclasses.replace(end, state=State.CANCELLED, reason="").apply_to(now)
    return after_loss(now, end.reason)


def end_from_record(record: Record | None, code: int | None, tail: tuple[str, ...]) -> AttemptEnd:
    """Return how an attempt ended, by its run's record.

    Args:
        code: of mlbutler's process, and the `tail` of what it printed.
    """
    tail, stages = tail[-_TAIL:], stage_notes(record)
    results = [getattr(record, name) for name in _STEPS] if record is not None else []
    bad = next((one for one in results if one is not None and one.outcome not in _WELL), None)
    if code is None or code < 0 or (bad is not None and bad.outcome is Outcome.INTERRUPTED):
        return AttemptEnd(State.LOST, f"mlbutler was stopped from outside ({explain_exit(code)})", stages=stages)
    done = record.reproduce if record is not None else None
    if isinstance(bad, ReproduceResult) and bad.outcome is Outcome.FAILED:
        last = next((run.tail for run in bad.stages if run.outcome == "failed"), ())
        return AttemptEnd(State.FAILED, bad.reason, tail=tuple(last[-_TAIL:]), stages=stages)
    if bad is not None:
        return AttemptEnd(State.NOT_SET_UP, bad.reason, bad.remedy, tail, stages)
    if done is not None and code == EXIT_PASSED:
        return AttemptEnd(State.DONE, done.reason, stages=stages)
    said = tail[-1] if tail else "it said nothing"
    return AttemptEnd(State.NOT_SET_UP, f"mlbutler ended with exit code {code}: {said}", tail=tail)


def stage_notes(record: Record | None, root: Path | None = None) -> tuple[StageNote, ...]:
    """Return the stages that were brought up to date.

    Args:
        root: of a run that was ended, which has left no record of them but its progress.
    """
    from mlbutler.reproduce.progress import read_ended_stages

    runs = record.reproduce.stages if record is not None and record.reproduce is not None else ()
    if not runs and root is not None:
        runs = read_ended_stages(root)
    return tuple(
        StageNote(name=run.name, outcome=run.outcome, seconds=round(run.duration, 3))
        for run in runs
        if run.outcome in ("ran", "restored", "failed") or (root is None and run.outcome == "unchanged")
    )
