"""Read, check and describe the search that a command line asks for, and create its next trials."""

from __future__ import annotations

from collections.abc import Sequence

from mlbutler.commands.train.opening import Training
from mlbutler.errors import UsageError
from mlbutler.experiments.experiment import Experiment, Search
from mlbutler.experiments.measures import read_measures
from mlbutler.experiments.ranking import goal_of
from mlbutler.experiments.search import TrialCreator
from mlbutler.project.project import Project
from mlbutler.project.search_space import read_space
from mlbutler.settings import Gate

_ENDS = {"max": "maximize", "min": "minimize"}


def read_search(text: str, number: int, params: Sequence[str], gates: Sequence[Gate]) -> Search:
    """Return the search that the command line asks for, without its base.

    Args:
        text: ``METRIC``, ``METRIC:max`` or ``METRIC:min``. number: of trials.

    Raises:
        UsageError: nothing tells which way the metric is better.
    """
    metric, _, end = text.rpartition(":")
    if not metric or end not in _ENDS:
        metric, end = text, ""
    goal = _ENDS.get(end) or goal_of(metric, gates)
    if goal is None:
        raise UsageError(
            f"--search: nothing says which way '{metric}' is better.",
            f"--search {metric}:max, or --search {metric}:min"
            + ("; what is varied is given by -S." if "=" in metric else ""),
        )
    return Search(metric=metric, goal=goal, trials=number, params=tuple(params), base="")


def check_metric(training: Training, main: Project, search: Search, like: Experiment) -> None:
    """Refuse a metric that no stage writes, as far as that can be seen before any trial.

    Args:
        like: a trial of the search.

    Raises:
        UsageError: there is no such metric.
    """
    if not any(out.kind == "metric" for stage in main.stages.pipeline() for out in stage.outputs):
        raise UsageError(
            "--search: no stage has a metric.", "Declare the file as one of a stage's metrics in dvc.yaml."
        )
    found = read_measures(training.git, like, training.folder.root, main.stages)
    if found and not any(search.metric in (one.name, f"{one.file}:{one.name}") for one in found):
        known = ", ".join(dict.fromkeys(one.name for one in found))
        raise UsageError(f"--search: no metric is called '{search.metric}'.", f"Name one of: {known}.")


def describe_search(grid: str, search: Search) -> list[str]:
    """Return what a search does, a line for each parameter."""
    space = read_space(search.params)
    points = f", of {space.size:,} points" if space.size is not None else ""
    first = f"{grid}: {search.trials} trials{points}, to {search.goal} {search.metric}"
    return [first, *(f"  {one}" for one in space.dimensions)]


def create_trials(training: Training, last: Experiment, search: Search | None = None) -> list[Experiment]:
    """Create the next trials of a search; return those that were created here.

    Args:
        last: any of its trials. search: what counts from now on, with the jobs of `last`; None for what did until now.

    Raises:
        UsageError: Optuna is not installed here. GitError, AccessDenied: the remote does not answer, or refuses.
    """
    shared, folder = training.experiments.shared, training.folder
    if training.engines.runs_on_jenkins(last) and shared is not None:
        growing = TrialCreator(training.git, shared)
    else:
        growing = TrialCreator(training.git, training.experiments.local, folder.has_sent, folder.mark_sent)
    return growing.create(last.grid, (search, last.jobs) if search is not None else None)
