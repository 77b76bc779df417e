"""Find an experiment's results, for the verbs that compare, fetch or promote them."""

from __future__ import annotations

from mlbutler.change.detect import remote_of
from mlbutler.commands.train.opening import Training
from mlbutler.errors import UsageError
from mlbutler.experiments import saved_results as results
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.state import State


def experiment_with_results(training: Training, name: str) -> Experiment:
    """Return the experiment of this name, with the commit of its results, which is in this repository.

    Raises:
        UsageError: it has no results, or they were removed.
    """
    experiment = training.select_one(name).experiment
    if experiment.state is not State.DONE:
        raise UsageError(
            f"{experiment.name} has no results: it is {training.engines.effective_state(experiment)}.",
            f"mlbutler train show {experiment.name}",
        )
    commit = results.fetch_results(
        training.git, experiment, remote_of(training.git, training.settings.project.git_remote)
    )
    if commit is None:
        raise UsageError(f"The results of {experiment.name} were removed.", "Send it again: `mlbutler train`.")
    return experiment.with_(result=commit)
