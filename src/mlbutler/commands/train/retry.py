"""Implement `mlbutler train retry`: run the very same input again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from mlbutler.commands.train.opening import Training, open_training, print_experiments
from mlbutler.commands.train.submitters import restart_experiments
from mlbutler.console import Console
from mlbutler.errors import EXIT_OUTSIDE, EXIT_PASSED
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.refs import StoredExperiment
from mlbutler.experiments.state import FAILED, State
from mlbutler.experiments.submission import needs_run, reset_experiment
from mlbutler.numbers import count


def retry(directory: Path, console: Console, names: Sequence[str], *, failed: bool) -> int:
    """Have experiments that ended without a result wait for another attempt; return the exit code.

    The work tree does not matter: what runs is the commit that ran before.

    Args:
        names: all experiments if empty. failed: those alone that failed, could not be set up, or timed out.

    Raises:
        UsageError: a name is none's.
    """
    training = open_training(directory, console)
    found = training.select(names) if names else training.all()
    mine = {kept.experiment.id for kept in training.engines.local.own_experiments()}
    due: list[Experiment] = []
    lost = 0
    for kept in found:
        name = kept.experiment.name
        if why := _why_not(training, kept, mine, failed=failed):
            console.line(f"{name} {why}")
        elif (
            now := training.experiments.repository_of(kept.experiment).replace(
                kept, reset_experiment(kept.experiment), b""
            )
        ) is None:
            console.error(f"{name} was changed at this moment. Run it again.")
            lost += 1
        else:
            due.append(now.experiment)
            console.line(f"{name} waits for another attempt")
    if due:
        restart_experiments(training, due)
        console.line(f"{count(len(due), 'experiment')} sent again. This terminal may be closed.")
    elif not lost:
        console.line("Nothing to run again.")
    if console.json:
        print_experiments(training, due)
    return EXIT_OUTSIDE if lost else EXIT_PASSED


def _why_not(training: Training, kept: StoredExperiment, mine: Collection[str], *, failed: bool) -> str:
    """Return why an experiment is not run again, as the rest of a sentence; '' where it is."""
    experiment = kept.experiment
    state = training.engines.effective_state(experiment)
    done = training.engines.runs_on_jenkins(experiment) and state is State.DONE
    if done or not needs_run(training.git, experiment):
        return f"is {state} already"
    if failed and state not in FAILED:
        return f"is {state}: it has not failed"
    if experiment.id not in mine and not training.engines.runs_on_jenkins(experiment):
        return f"was sent from {experiment.place} on {experiment.host}: it can be run again there"
    return ""
