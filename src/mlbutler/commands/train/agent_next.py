"""Implement `mlbutler train agent next`: what may begin now of the sweep of an experiment that has ended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from mlbutler.commands.train.experiment_build import ExperimentBuild, open_build
from mlbutler.console import Console
from mlbutler.errors import EXIT_PASSED, UsageError
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.refs import StoredExperiment
from mlbutler.experiments.scheduling import due_experiments, end_by_failures, open_searches, requested_ids
from mlbutler.experiments.state import State


def print_next(directory: Path, console: Console) -> int:
    """Print what may begin now of the sweep that the build's experiment is of.

    Raises:
        UsageError: no CI server's build, or no experiment.
    """
    build = open_build(directory, console)
    print_due(build, build.experiments.all())
    return EXIT_PASSED


def print_due(build: ExperimentBuild, there: Sequence[StoredExperiment]) -> None:
    """Print what may begin now of the sweep that the build's experiment is of: a line each, id and label.

    Of two builds that end at once one alone names an experiment. One that has waited for its build for long is named
    again: of two builds the second finds it taken.

    Args:
        there: all experiments.

    Raises:
        MlbutlerError: the Git remote did not answer.
    """
    own = next((kept.experiment for kept in there if kept.experiment.id == build.id), None)
    if own is None:
        return
    if own.grid in open_searches(kept.experiment for kept in there) and _has_grown(build, own.grid):
        there = build.experiments.all()
    grid = [kept for kept in there if kept.experiment.grid == own.grid and kept.experiment.engine == own.engine]
    grid = [_cancel_after_failures(build, kept, [one.experiment for one in grid]) for kept in grid]
    experiments, by_id = [kept.experiment for kept in grid], {kept.experiment.id: kept for kept in grid}
    for one in due_experiments(experiments, requested_ids(experiments, time.time())):
        if build.experiments.replace(by_id[one.id], one.with_(asked=time.time())) is not None:
            print(f"{one.id} {one.label}".rstrip(), flush=True)


def _has_grown(build: ExperimentBuild, grid: str) -> bool:
    """Create the next trials of a search; return whether there are new ones."""
    from mlbutler.experiments.search import TrialCreator  # which needs DVC, as no sweep does

    try:
        return bool(TrialCreator(build.git, build.experiments).create(grid))
    except UsageError as error:  # what waits is started all the same
        build.console.error(f"The search {grid} is stalled. {error.message} {error.remedy}")
        build.console.error(f"`mlbutler train wait {grid}` continues it from where Optuna is.")
        return False


def _cancel_after_failures(
    build: ExperimentBuild, kept: StoredExperiment, grid: Sequence[Experiment]
) -> StoredExperiment:
    """Return the experiment, cancelled where too many of its sweep have failed."""
    end = end_by_failures(kept.experiment, grid)
    if end is None:
        return kept
    changed = build.experiments.change(
        kept.experiment.id, lambda now: end.apply_to(now) if now.state is State.WAITING else None
    )
    return changed or kept
