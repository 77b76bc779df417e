"""The public functions for experiments, for notebooks and scripts: `submit`, `wait` and `results`.

As with `mlbutler.api`, the working directory is put back, nothing is printed, and an error is raised.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlbutler.api import unchanged_directory
from mlbutler.commands.train.opening import Training, open_training
from mlbutler.commands.train.submit import RequestedOptions, SubmitOptions, send
from mlbutler.commands.train.waiting import wait_until_ended
from mlbutler.console import Console
from mlbutler.errors import UsageError
from mlbutler.experiments.experiment import Experiment, Measure

__all__ = ["results", "submit", "wait"]
from mlbutler.parsing import Unreadable, parse_yaml


def submit(  # noqa: PLR0913 - options of the verb, by keyword
    path: str | Path = ".",
    *,
    name: str | None = None,
    params: Mapping[str, object] | str | Sequence[str] = (),
    search: str | None = None,
    trials: int | None = None,
    targets: str | Sequence[str] = (),
    copy_paths: str | Sequence[str] = (),
    jobs: int | None = None,
    max_failures: int | None = None,
    time_limit: float | None = None,
    on: str | None = None,
    gpus: int | None = None,
    label: str | None = None,
) -> list[str]:
    """Send the work tree as experiments, which run without this process; return their names.

    Args:
        path: a directory of a DVC project. name: of the experiment, or of the sweep.
        params: parameter -> value, or a list of values for a sweep; or texts in the grammar of `dvc exp run -S`.
        search: the metric to search by, as ``accuracy:max``; a text among the values of `params` is then a range in
            that grammar, such as ``interval(0, 1)``. The names are those of the first trials. trials: at most; 20 by
            default.
        targets: stages; all by default. copy_paths: files to send too that Git does not track.
        jobs: experiments at once. max_failures: failed ones after which the rest is cancelled.
        time_limit: seconds for each. on: ``local`` or ``jenkins``. gpus: that each needs. label: of the agents; these
            three are by default as the settings say.

    Raises:
        mlbutler.errors.MlbutlerError: as `mlbutler train` says it; nothing was sent.
    """
    if not isinstance(search, str | None):
        raise UsageError(
            f"search is the metric to search by, not a {type(search).__name__}.",
            'Pass search="METRIC:max", and what it varies as params={"KEY": "interval(0, 1)"}.',
        )
    if trials is not None and search is None:
        raise UsageError("trials is for a search, and none is asked for.", 'Pass search="METRIC:max" too.')
    if isinstance(params, Mapping):
        ranges = search is not None
        params = [f"{key}={value if ranges and isinstance(value, str) else _values(key, value)}"
                  for key, value in params.items()]  # fmt: skip
    wanted = RequestedOptions(
        name=name, params=tuple(_as_list(params)), targets=tuple(_as_list(targets)), on=on, label=label, gpus=gpus,
        retries=2, jobs=jobs, max_failures=max_failures, keep_going=False, time_limit=time_limit,
        search=search, trials=20 if trials is None else trials,
    )  # fmt: skip
    with unchanged_directory():
        sent = send(_training(path), SubmitOptions(wanted, tuple(_as_list(copy_paths))))
    return [one.experiment.name for one in sent.submitted]


def wait(names: str | Sequence[str] = (), path: str | Path = ".") -> dict[str, str]:
    """Wait until experiments have ended; return the state of each by its name.

    Args:
        names: names, patterns or sweeps; by default all that have not ended. path: a directory of a DVC project.

    Raises:
        mlbutler.errors.MlbutlerError: a name is none's, or this process was interrupted; the experiments go on.
    """
    with unchanged_directory():
        return {one.name: str(one.state) for one in wait_until_ended(_training(path), _as_list(names))}


def results(names: str | Sequence[str] = (), path: str | Path = ".") -> Any:
    """Return what became of experiments: a pandas DataFrame where pandas is installed, else a list of dictionaries.

    Each row has the experiment's name, state, reason and seconds, its parameters and metrics, and the metrics of its
    baseline, whose names end with `` before``.

    Args:
        names: names, patterns or sweeps; by default all. path: a directory of a DVC project.

    Raises:
        mlbutler.errors.MlbutlerError: a name is none's.
    """
    with unchanged_directory():
        training = _training(path)
        found = training.select(_as_list(names)) if names else training.all()
        rows = [_row(training, kept.experiment) for kept in found]
    # By its name: mlbutler works without it.
    return importlib.import_module("pandas").DataFrame(rows) if importlib.util.find_spec("pandas") else rows


def _training(path: str | Path) -> Training:
    return open_training(Path(path).absolute(), Console(quiet=True))


def _as_list(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _values(key: str, value: object) -> str:
    """Return a parameter's value, or the values of a sweep, in the grammar of `-S`.

    Raises:
        UsageError: there is none.
    """
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        values = list(map(_value, value))
        if not values:
            raise UsageError(f"params: there is no value for {key}.", "Give it one, or leave it out.")
        return ",".join(values)
    return _value(value)


def _value(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    return str(value)


def _row(training: Training, experiment: Experiment) -> dict[str, Any]:
    started, ended = experiment.started, experiment.ended
    row: dict[str, Any] = {
        "name": experiment.name, "state": str(training.engines.effective_state(experiment)),
        "reason": experiment.reason,
        "seconds": ended - started if started is not None and ended is not None else None,
    }  # fmt: skip
    row |= {key: _parse_value(text) for key, _, text in (given.partition("=") for given in experiment.overrides)}
    names = [metric.name for metric in experiment.metrics]
    for metric in experiment.metrics:
        key = _column(metric, names, row)
        row |= {key: metric.value, f"{key} before": metric.before}
    return row


def _column(metric: Measure, names: Sequence[str], row: Mapping[str, Any]) -> str:
    """Return a metric's name, with its file where that alone would be another's."""
    return f"{metric.file}:{metric.name}" if names.count(metric.name) > 1 or metric.name in row else metric.name


def _parse_value(text: str) -> Any:
    try:
        return parse_yaml(text)
    except Unreadable:
        return text
