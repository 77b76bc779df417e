"""Log an experiment's results as a run on an MLflow server."""

from __future__ import annotations

from mlbutler.experiments.experiment import Experiment
from mlbutler.steps import tracked
from mlbutler.steps.context import RunContext
from mlbutler.trackers.result import Result, unique_names


def has_mlflow(context: RunContext) -> bool:
    """Return whether the settings name an MLflow server."""
    return tracked.settings(context).mlflow is not None


def log_experiment(context: RunContext, experiment: Experiment) -> str:
    """Create the run of an experiment that is done; return the address of its page, '' where no server is set.

    Raises:
        SettingsError, OutsideError: see `mlbutler.trackers.mlflow_server.log`.
    """
    where = tracked.settings(context)
    if where.mlflow is None:
        return ""
    numbers = {f"{measure.file}:{measure.name}": measure.value for measure in experiment.metrics}
    names = unique_names(numbers)
    result = Result(
        id=experiment.result,
        name=experiment.name,
        commit=experiment.input,
        repository=tracked.address(context.record.change),
        source=experiment.build,
        params=tracked.used_params(context.project.stages),
        metrics={names[key]: number for key, number in numbers.items()},
        links=(("build", experiment.build),) if experiment.build else (),
    )
    return tracked.send_run(context, where, result)
