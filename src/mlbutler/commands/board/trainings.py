"""Add what `mlbutler train` knows of experiments: their states, and those that have no results here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mlbutler.experiments.all_experiments import latest_of_each
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.refs import Experiments
from mlbutler.experiments.shared import SharedExperiments
from mlbutler.experiments.state import State
from mlbutler.git import Git
from mlbutler.parsing import Unreadable, parse_yaml
from mlbutler.record import Scalar
from mlbutler.report.board.model import BoardRow, RowKind

_DEFAULT_PARAMS = "params.yaml"


def with_trainings(git: Git, prefix: str, remote: str | None, rows: Sequence[BoardRow]) -> list[BoardRow]:
    """Return the rows with the state of those that were trained, and further ones for those without results here.

    Args:
        git: at the repository's root. prefix: the project's path from there. remote: the Git remote's name.
    """
    kept, _ = Experiments(git).survey()
    there = SharedExperiments(git, remote).survey_fetched()[0] if remote is not None else ()
    ours = [one.experiment for one in latest_of_each((*kept, *there)) if one.experiment.project == prefix]
    known = {one.result: one for one in ours if one.result}
    shown = {row.commit for row in rows}
    found = [_add_experiment(row, known[row.commit]) if row.commit in known else row for row in rows]
    return found + [_row(one) for one in ours if one.result not in shown]


def _add_experiment(row: BoardRow, experiment: Experiment) -> BoardRow:
    links = {**row.links, **({"build": experiment.build} if experiment.build else {})}
    return replace(row, author=row.author or experiment.user, links=links)


def _row(experiment: Experiment) -> BoardRow:
    when = experiment.ended or experiment.started or experiment.submitted
    reason = f": {experiment.reason}" if experiment.reason and experiment.state is not State.DONE else ""
    return BoardRow(
        kind=RowKind.TRAINING, name=experiment.name, when=int(when), author=experiment.user,
        state=f"{experiment.state}{reason}", baseline=experiment.baseline,
        metrics={f"{one.file}:{one.name}": one.value for one in experiment.metrics},
        params=dict(map(_param, experiment.overrides)),
        links={"build": experiment.build} if experiment.build else {},
    )  # fmt: skip


def _param(override: str) -> tuple[str, Scalar]:
    """Return the column and the value of a parameter as it was given."""
    name, _, text = override.lstrip("+").partition("=")
    key = name if ":" in name else f"{_DEFAULT_PARAMS}:{name}"
    try:
        value = parse_yaml(text)
    except Unreadable:
        value = text
    return key, value if isinstance(value, (str, int, float, bool)) else text
