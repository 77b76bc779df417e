"""Resolve the search that a command line asks for: to its first trial, or to the search that exists already."""

from __future__ import annotations

import dataclasses
import os

from mlbutler.errors import UsageError
from mlbutler.experiments.capture import Captured
from mlbutler.experiments.choices import LOCAL
from mlbutler.experiments.experiment import Experiment, Search
from mlbutler.experiments.points import input_commit
from mlbutler.experiments.scheduling import trials_of
from mlbutler.experiments.search import next_trial
from mlbutler.experiments.submission import (
    ExistingExperiments,
    ExperimentNames,
    ExperimentOptions,
    Fate,
    SubmittedExperiment,
    experiment_template,
)
from mlbutler.experiments.train_folder import TrainFolder
from mlbutler.git import Git
from mlbutler.project.search_space import read_space


def resolve_search(
    git: Git,
    known: ExistingExperiments,
    folder: TrainFolder,
    captured: Captured,
    prefix: str,
    options: ExperimentOptions,
) -> tuple[SubmittedExperiment, ...]:
    """Return the first trial of a search, or the last one of a search that is gone on with; nothing is kept yet.

    What it returns has the search as it is asked for, with no more trials than there are points.

    Args:
        git: at the repository's root. prefix: the project's path from there. options: with a search.

    Raises:
        UsageError: the space or a name is refused, Optuna is not installed, or there is another search of this name.
    """
    assert options.search is not None
    space = read_space(options.params)
    most = min(options.search.trials, space.size or options.search.trials)
    names = ExperimentNames(git, captured.baseline, known.names)
    grid = names.choose(options.name, f"-{most}")
    search = dataclasses.replace(options.search, trials=most, base=input_commit(git, captured, prefix, {}))
    like = experiment_template(captured, prefix, folder, options, grid).with_(search=search)
    everything = {id: kept.experiment for id, kept in known.stored.items() if kept.experiment.project == prefix}
    if found := trials_of(everything.values(), grid):
        return (_continue_search(found[-1], like, known),)
    for taken in known.names:
        if taken.startswith(f"{grid}-") and taken.removeprefix(f"{grid}-").isdigit():
            names.refuse_taken(taken)
    first = next_trial(git, like, (), everything)
    if first is None:
        raise UsageError("Every point of this space was run already.", "`mlbutler train list` shows them.")
    return (SubmittedExperiment(first, Fate.NEW, known.stored.get(first.id)),)


def _continue_search(last: Experiment, like: Experiment, known: ExistingExperiments) -> SubmittedExperiment:
    """Return the last trial of a search that is asked for again.

    Raises:
        UsageError: it is another search, or this one is gone on with elsewhere.
    """
    if _what(last) != _what(like):
        raise UsageError(
            f"There is a search '{like.grid}', and this is another one: its code, space or metric differs.",
            f"Choose another name with -n, or remove it: mlbutler train rm {like.grid}",
        )
    here = (last.host, last.place) if last.engine == LOCAL else ("", "")
    if last.engine != like.engine or (last.engine == LOCAL and here != (like.host, os.fspath(like.place))):
        raise UsageError(
            f"The search '{like.grid}' runs {f'in {last.place} on {last.host}' if here[0] else 'on Jenkins'}.",
            f"Send it again {'from there' if here[0] else 'with --on jenkins'}, or choose another name with -n.",
        )
    return SubmittedExperiment(last.with_(search=like.search, jobs=like.jobs), Fate.REUSED, known.stored[last.id])


def _what(one: Experiment) -> tuple[object, ...]:
    """Return what makes a search this one."""
    assert isinstance(one.search, Search)
    space = read_space(one.search.params)
    return one.baseline, one.search.base, one.targets, one.search.metric, one.search.goal, space
