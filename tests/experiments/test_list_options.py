"""A list shows what was asked for, in the order that was asked for."""

from __future__ import annotations

import math

import pytest

from mlbutler.commands.train.list_options import RUNNING, ListOptions, select_experiments
from mlbutler.errors import UsageError
from mlbutler.experiments.experiment import Experiment, Measure
from mlbutler.experiments.state import FAILED, State
from mlbutler.settings import Gate

NOW = 1_000_000.0


def experiment(name: str, state: State, ago: float, took: float | None = None, **metrics: float) -> Experiment:
    measures = tuple(Measure(file="m.json", name=key, value=value) for key, value in metrics.items())
    started = None if took is None else NOW - ago
    return Experiment(
        id=name, name=name, grid="lr", baseline="b" * 40, input="c" * 40, state=state, submitted=NOW - ago,
        started=started, ended=None if started is None or took is None else started + took, metrics=measures,
    )  # fmt: skip


THERE = (
    experiment("a", State.DONE, 500, 30, accuracy=0.8, loss=0.3, odd=1),
    experiment("b", State.FAILED, 400, 10),
    experiment("c", State.DONE, 300, 20, accuracy=0.9, loss=0.5, odd=2),
    experiment("d", State.RUNNING, 200),
    experiment("e", State.WAITING, 100),
    experiment("f", State.DONE, 50, 25, accuracy=math.nan, loss=0.1),
)


def names(wanted: ListOptions, *gates: Gate) -> str:
    shown = select_experiments(wanted, [(one.state, one) for one in THERE], gates, now=lambda: NOW)
    return "".join(one.name for _, one in shown)


def test_states_and_age_choose() -> None:
    assert names(ListOptions(states=RUNNING)) == "d"
    assert names(ListOptions(states=FAILED)) == "b"
    assert names(ListOptions(states=(*RUNNING, *FAILED))) == "db"
    assert names(ListOptions(since=300)) == "decf"
    assert names(ListOptions(since=300, states=(State.DONE,))) == "cf"


def test_the_order_is_what_was_asked_for() -> None:
    assert names(ListOptions()) == "deabcf"
    assert names(ListOptions(sort="name")) == "abcdef"
    assert names(ListOptions(sort="sent")) == "fedcba"
    assert names(ListOptions(sort="took"))[:4] == "bcfa"


def test_the_best_value_of_a_metric_is_first_and_none_is_last() -> None:
    assert names(ListOptions(sort="accuracy")) == "cabdef"
    assert names(ListOptions(sort="m.json:accuracy")) == "cabdef"
    assert names(ListOptions(sort="loss"))[:3] == "fac"
    assert names(ListOptions(sort="odd"))[:2] == "ac"
    assert names(ListOptions(sort="odd"), Gate(metric="odd", goal="maximize", min=0))[:2] == "ca"
    with pytest.raises(UsageError, match="no experiment has a metric 'acc'") as error:
        names(ListOptions(sort="acc"))
    assert "name, sent, took, accuracy, loss, odd" in error.value.remedy
