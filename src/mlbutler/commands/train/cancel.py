"""Implement `mlbutler train cancel`: end experiments, in whatever state, and keep what they finished."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from pathlib import Path

from mlbutler.commands.train.opening import Training, open_training, print_experiments
from mlbutler.console import Console
from mlbutler.errors import EXIT_OUTSIDE, EXIT_PASSED
from mlbutler.experiments.cancelling import Cancelling
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.refs import StoredExperiment
from mlbutler.experiments.scheduling import close_search, open_searches
from mlbutler.experiments.state import ENDED, UNDER_WAY, State

_POLL = 0.1
_TRIES = 10
_TIMEOUT = 120.0
"""Seconds beyond the stage's grace until an end is overdue."""


def cancel(directory: Path, console: Console, names: Sequence[str], grace: float, *, now: bool = False) -> int:
    """Cancel the named experiments and wait until nothing of them runs; return the exit code.

    Args:
        names: all that this user has sent, and that have not ended, if empty.
        grace: seconds that a stage has to end by itself after SIGTERM. now: end builds without asking the stage.
    """
    training = open_training(directory, console)
    here: list[str] = []
    remote: list[Experiment] = []
    for kept in _with_new_trials(training, training.select(names) if names else _select_mine(training)):
        experiment = kept.experiment
        if experiment.state in ENDED:
            console.line(f"{experiment.name} is {experiment.state} already.")
        elif training.engines.runs_on_jenkins(experiment):
            remote.append(experiment)
        else:
            training.experiments.local.change(experiment.id, lambda now: _request_cancel(now, grace))
            here.append(experiment.id)
    done = list(Cancelling(training.engines.jenkins, console.line).cancel(remote, grace, now=now)) if remote else []
    done += _wait_for_end(training, here, grace)
    late = [one for one in done if one.state not in ENDED]
    for one in done:
        reason = f": {one.reason}" if one.reason else ""
        console.line(f"{one.name}: {training.engines.effective_state(one)}{reason}")
    for one in late:
        console.error(f"{one.name} has not ended yet, {'on ' + one.host if one.host else 'here'}.")
    if console.json:
        print_experiments(training, done)
    return EXIT_OUTSIDE if late else EXIT_PASSED


def _with_new_trials(training: Training, chosen: Sequence[StoredExperiment]) -> list[StoredExperiment]:
    """Close the searches whose running trials are all to be cancelled; return the experiments, new trials included.

    A build that ends at this moment may have created a trial since.
    """
    found = {kept.experiment.id: kept for kept in chosen}
    for _ in range(_TRIES):
        everything = training.all()
        going_on = open_searches(kept.experiment for kept in everything)
        stopped = {grid: members for grid, members in going_on.items() if _is_all_of(members, found)}
        if not stopped:
            break
        for grid, members in stopped.items():
            training.experiments.repository_of(members[-1]).change(members[-1].id, close_search)
            training.console.line(f"The search {grid} ends after {members[-1].number} trials.")
        found |= {kept.experiment.id: kept for kept in training.all()
                  if kept.experiment.grid in stopped and kept.experiment.state not in ENDED}  # fmt: skip
    return list(found.values())


def _is_all_of(members: Sequence[Experiment], chosen: Collection[str]) -> bool:
    under_way = [one.id for one in members if one.state not in ENDED]
    return all(id in chosen for id in under_way or [one.id for one in members])


def _select_mine(training: Training) -> list[StoredExperiment]:
    names, found = training.users(), training.all()
    mine = [
        kept for kept in found if kept.experiment.state not in ENDED and training.is_sent_by(kept.experiment, names)
    ]
    if not mine:
        training.console.line("Nothing of yours is under way.")
    return mine


def _request_cancel(now: Experiment, grace: float) -> Experiment | None:
    if now.state is State.WAITING:
        return now.with_(state=State.CANCELLED, ended=time.time(), reason="before it began")
    return now.with_(cancel=grace) if now.state in UNDER_WAY else None


def _wait_for_end(training: Training, ids: Sequence[str], grace: float) -> list[Experiment]:
    until = time.monotonic() + grace + _TIMEOUT
    while True:
        training.engines.local.recover()  # one whose process is gone has nobody else to end it
        found = [kept.experiment for id in ids if (kept := training.experiments.local.read(id)) is not None]
        if all(one.state in ENDED for one in found) or time.monotonic() > until:
            return found
        time.sleep(_POLL)
