"""Implement `mlbutler train agent save`: save what an attempt made, and print which experiments may begin now.

The project's code has run in the work tree: nothing that it could have written decides where a credential goes.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from mlbutler.commands.start import begin
from mlbutler.commands.train import mlflow_run
from mlbutler.commands.train.agent_next import print_due
from mlbutler.commands.train.experiment_build import ExperimentBuild, open_build, run_steps
from mlbutler.console import Console, human_seconds
from mlbutler.errors import (
    EXIT_INTERRUPTED,
    EXIT_JUDGED,
    EXIT_OUTSIDE,
    EXIT_PASSED,
    Interrupted,
    MlbutlerError,
    OutsideError,
    UsageError,
)
from mlbutler.experiments import saved_results as results
from mlbutler.experiments.assigned_experiment import ABORTED
from mlbutler.experiments.attempt_end import AttemptEnd, after_attempt
from mlbutler.experiments.attempt_files import AttemptFiles
from mlbutler.experiments.delivery import deliver_notice
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.log import read_log
from mlbutler.experiments.measures import read_measures
from mlbutler.experiments.notices import Notice, end_notice, loss_notice
from mlbutler.experiments.state import ENDED, State
from mlbutler.frozen import frozen
from mlbutler.record import Outcome
from mlbutler.settings import Settings, settings_at
from mlbutler.variables import TRAIN_ATTEMPT

_T = TypeVar("_T")
_WAITS: Sequence[float] = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 600.0)
"""Seconds between tries to save: what took hours to make is not given up since a server is away for a while."""
_CODES = {State.DONE: EXIT_PASSED, State.CANCELLED: EXIT_INTERRUPTED, State.WAITING: EXIT_OUTSIDE}


def save(directory: Path, console: Console, *, aborted: bool) -> int:
    """Send what an attempt made, then how it ended; return the exit code.

    0 done, 1 failed, timed out or not set up, 130 cancelled, 3 another agent is to try again. But for 3, standard
    output names what may begin now (`print_due`).

    Args:
        aborted: the build was, and with it what ran the experiment.

    Raises:
        Interrupted: another attempt has replaced this one, or it was ended from elsewhere.
        UsageError: no CI server's build, no experiment, or no attempt was begun.
    """
    console.json = True
    build = open_build(directory, console)
    try:
        return _save(build, aborted=aborted)
    except Interrupted:
        _follow_up(build, None)
        raise


def _follow_up(build: ExperimentBuild, ended: Experiment | None) -> None:
    """Notify people of the end of an attempt, and print what may begin now; a failure here ends no experiment."""
    try:
        everything = build.experiments.all()
        if ended is not None:
            _notify(build, ended, [kept.experiment for kept in everything])
        print_due(build, everything)
    except MlbutlerError as error:
        build.console.error(f"Nobody was notified, and nothing is begun next: {error.message} {error.remedy}")


def _save(build: ExperimentBuild, *, aborted: bool) -> int:
    attempt = _read_attempt()
    if attempt is None and aborted:
        code = _cancel_unprepared(build)
        _follow_up(build, None)
        return code
    if attempt is None:
        raise UsageError(
            f"{TRAIN_ATTEMPT} does not hold the number of an attempt.", "The pipeline sets it: mlbutlerTrain()."
        )
    files = AttemptFiles(build.root)
    end = _read_end(files.read_end(build.id), aborted=aborted).redacted(build.console.redactor)
    saved = retry_while_away(build.console, lambda: _save_or_refuse(build, attempt, end))
    log = read_log(files.log)
    now = retry_while_away(
        build.console, lambda: build.assigned.change(attempt, lambda now: after_attempt(now, saved.end), log)
    )
    build.console.line(f"{now.name}: {now.state}{': ' if now.reason else ''}{now.reason}")
    if saved.has_tracker:
        _track(build, now)
    if now.state is State.WAITING:
        _notify(build, now, [])
    else:
        _follow_up(build, now)
    return _CODES.get(now.state, EXIT_JUDGED)


def _track(build: ExperimentBuild, experiment: Experiment) -> None:
    """Create a run on the MLflow server for an experiment's results; a failure here ends no experiment."""
    if experiment.state is not State.DONE or not experiment.result:
        return
    try:
        with begin(build.root, build.console) as context:
            if page := mlflow_run.log_experiment(context, experiment):
                build.console.line(f"{experiment.name} on the MLflow server: {page}")
    except MlbutlerError as error:
        build.console.line(f"{experiment.name} is not on the MLflow server: {error.message} {error.remedy}")


def _notify(build: ExperimentBuild, experiment: Experiment, everything: Sequence[Experiment]) -> None:
    """Notify people of the end of an attempt, by the settings in the commit that was sent.

    What lies in the work tree now may have been written by the project's code.
    """
    settings = settings_at(lambda name: build.git.show(experiment.input, f"{experiment.project}{name}")) or Settings()
    if experiment.state is State.WAITING:
        notice: Notice | None = loss_notice(experiment)
    else:
        notice = end_notice(experiment, [one for one in everything if one.grid == experiment.grid], settings.gate)
    if notice is not None:
        deliver_notice(notice, settings, os.environ, build.console.line)


def _read_attempt() -> int | None:
    text = os.environ.get(TRAIN_ATTEMPT, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _cancel_unprepared(build: ExperimentBuild) -> int:
    """Cancel an experiment whose build was aborted before it was ready to be run."""
    kept = build.experiments.change(build.id, build.assigned.mark_aborted)
    return EXIT_INTERRUPTED if kept is not None and kept.experiment.state in ENDED else EXIT_PASSED


def _read_end(found: Experiment | None, *, aborted: bool) -> AttemptEnd:
    """Return how it ended, as the attempt handed it over; whatever may be in there, it is an end."""
    stages = found.stages if found is not None else ()
    if aborted and (found is None or found.state is not State.DONE):
        return AttemptEnd(State.CANCELLED, ABORTED, stages=stages)
    if found is None or found.state not in (*ENDED, State.LOST):
        return AttemptEnd(State.LOST, "what ran it was killed, or its disk was full", stages=stages)
    return AttemptEnd(found.state, found.reason, found.remedy, found.tail, stages)


@frozen
class _Saved:
    """How it ended, with its results. `has_tracker`: a server that lists results is set."""

    end: AttemptEnd
    has_tracker: bool = False


def _save_or_refuse(build: ExperimentBuild, attempt: int, end: AttemptEnd) -> _Saved:
    """Send data and results; return the end with them, or why they cannot be saved on any agent.

    Raises:
        Interrupted: another attempt has replaced this one. OutsideError: a server is away.
    """
    try:
        return _save_results(build, attempt, end)
    except Interrupted:
        raise
    except MlbutlerError as error:
        if error.exit_code == EXIT_OUTSIDE:
            raise
        return _Saved(dataclasses.replace(end, state=State.NOT_SET_UP, reason=error.message, remedy=error.remedy))


def _save_results(build: ExperimentBuild, attempt: int, end: AttemptEnd) -> _Saved:
    now = build.assigned.change(attempt, lambda now: now.with_(state=State.SAVING))
    with build.open_run(now) as context:
        code, pushed = run_steps(context, "push")
        if code == EXIT_OUTSIDE:
            raise OutsideError(pushed.reason, pushed.remedy)
        stages = None if code or end.state is not State.DONE else context.project.stages
        has_tracker = mlflow_run.has_mlflow(context)
    if end.state is not State.DONE:
        return _Saved(results.with_metrics(end, build.git, now, build.root))
    if stages is None:
        return _Saved(dataclasses.replace(end, state=State.NOT_SET_UP, reason=pushed.reason, remedy=pushed.remedy))
    commit, ref = results.send_results(build.git, build.remote, now, stages)
    said = [end.reason]
    if ref != now.ref:
        said.append(f"the forge takes no {now.ref}: the results are on the branch {ref.removeprefix('refs/heads/')}")
    if pushed.outcome is Outcome.SKIPPED:
        said.append(f"outputs were not sent: {pushed.reason}")
    found = read_measures(build.git, now, build.root, stages)
    end = dataclasses.replace(end, reason="; ".join(filter(None, said)), result=commit, metrics=found)
    return _Saved(end, has_tracker)


def retry_while_away(console: Console, call: Callable[[], _T]) -> _T:
    """Return what the call returns, trying again while a server is away.

    Raises:
        MlbutlerError: it fails all the same, or for another reason.
    """
    for wait in _WAITS:
        try:
            return call()
        except MlbutlerError as error:
            if error.exit_code != EXIT_OUTSIDE:
                raise
            console.line(f"Not saved yet: {error.message} Once more in {human_seconds(wait)}.")
            time.sleep(wait)
    return call()
