"""The notices that people get: all experiments ended, the first one failed, one is lost, time is running out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from mlbutler.comparison.comparison import Comparison, conclude
from mlbutler.comparison.metrics import compare_metrics
from mlbutler.comparison.snapshot import Source
from mlbutler.console import human_seconds
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.ranking import best_first, main_metric
from mlbutler.experiments.scheduling import open_searches
from mlbutler.experiments.state import ENDED, FAILED, State
from mlbutler.forge.webhook import for_slack
from mlbutler.frozen import frozen
from mlbutler.numbers import count
from mlbutler.settings import Gate

_MOST = 200
"""Experiments that a document has."""


class Event(StrEnum):
    """Why people are notified. `DONE`: everything that was sent together has ended."""

    DONE = "done"
    FAILED = "failed"
    LOST = "lost"
    TIME = "time"


@frozen
class Notice:
    """One message. `experiments`: those that it is about. `verdict`: of the best one, in a word; '' for none."""

    event: Event
    name: str
    sentence: str
    experiments: tuple[Experiment, ...]
    verdict: str = ""

    @property
    def title(self) -> str:
        """Return it in one line."""
        return f"{self.name}: {self.sentence}"

    def json(self) -> dict[str, Any]:
        """Return it as a document."""
        shown = ("id", "name", "state", "reason", "overrides", "baseline", "result")
        return {
            "schema": 1, "title": "mlbutler train", "event": str(self.event), "name": self.name,
            "sentence": self.sentence, "verdict": self.verdict,
            "experiments": [
                {name: getattr(one, name) for name in shown}
                | {"metrics": [dataclasses.asdict(metric) for metric in one.metrics]}
                for one in self.experiments[:_MOST]
            ],
        }  # fmt: skip

    def slack(self) -> dict[str, Any]:
        """Return it as one line for Slack and similar services."""
        return {"text": f"*{for_slack(self.name)}*: {for_slack(self.sentence)}"}

    def text(self) -> str:
        """Return it as the text of an e-mail."""
        lines = [self.title, ""]
        for one in self.experiments:
            given = " ".join(one.overrides)
            said = (
                one.reason if one.state is not State.DONE else ", ".join(f"{m.name} {m.value:g}" for m in one.metrics)
            )
            lines.append("  ".join(filter(None, (one.name, str(one.state), given, said))))
            lines += [f"    | {line}" for line in one.tail]
        return "\n".join([*lines, "", f"mlbutler train list {self.name}", ""])


def end_notice(ended: Experiment, grid: Sequence[Experiment], gates: Sequence[Gate]) -> Notice | None:
    """Return the notice that an experiment's end calls for; None for none.

    Args:
        grid: all experiments that were sent together, as they are now. gates: whose goals tell what is better.
    """
    failed = [one for one in grid if one.state in FAILED]
    is_last = all(one.state in ENDED for one in grid) and ended.grid not in open_searches(grid)
    if len(grid) > 1 and is_last:
        return all_ended_notice(ended.grid, grid, gates)
    if ended.state in FAILED and [one.id for one in failed] == [ended.id]:
        return Notice(Event.FAILED, ended.name, f"{ended.state}: {ended.reason}", (ended,))
    if len(grid) == 1 and is_last and ended.state is State.DONE:
        verdict, sentence = judge_metrics(ended, gates)
        return Notice(Event.DONE, ended.name, f"done. {sentence}", (ended,), verdict)
    return None


def loss_notice(experiment: Experiment) -> Notice:
    """Return the notice of an experiment that was lost, and waits for another attempt or was given up."""
    again = ", and waits again" if experiment.state is State.WAITING else ""
    return Notice(Event.LOST, experiment.name, f"lost{again}: {experiment.reason}", (experiment,))


def time_notice(experiment: Experiment, left: float) -> Notice:
    """Return the notice of an experiment whose time is over in `left` seconds."""
    return Notice(Event.TIME, experiment.name, f"its time is over in {human_seconds(left)}", (experiment,))


def all_ended_notice(name: str, grid: Sequence[Experiment], gates: Sequence[Gate]) -> Notice:
    """Return the notice that all experiments have ended: how many in which state, and the best one's verdict."""
    states = [one.state for one in grid]
    counts = ", ".join(f"{states.count(state)} {state}" for state in ENDED if state in states)
    done = [one for one in grid if one.state is State.DONE]
    if not done:
        return Notice(Event.DONE, name, f"all {count(len(grid), 'experiment')} ended: {counts}.", tuple(grid))
    ranked = main_metric(done, gates)
    best = best_first(done, ranked, gates)[0] if ranked is not None else done[0]
    verdict, sentence = judge_metrics(best, gates)
    return Notice(Event.DONE, name, f"all ended: {counts}. {best.name}: {sentence}", tuple(grid), verdict)


def judge_metrics(experiment: Experiment, gates: Sequence[Gate]) -> tuple[str, str]:
    """Return the verdict on an experiment's metrics against those of its baseline, in a word and as a sentence."""
    goals = {_as_json(gate.metric): gate.goal for gate in gates if gate.metric is not None and gate.goal is not None}
    metrics, problems = compare_metrics(*_sides(experiment), goals)
    verdict, sentence = conclude(Comparison(metrics, (), (), (), (), problems), ())
    names = [metric.name for metric in experiment.metrics]
    for file in {metric.file for metric in experiment.metrics}:
        sentence = sentence.replace(f"{file}.json:", f"{file}:" if len(names) > len(set(names)) else "")
    return str(verdict), sentence.partition(" No gate is set")[0]


def _sides(experiment: Experiment) -> tuple[Mapping[str, Source], Mapping[str, Source]]:
    before: dict[str, dict[str, float]] = {}
    after: dict[str, dict[str, float]] = {}
    for metric in experiment.metrics:
        after.setdefault(metric.file, {})[metric.name] = metric.value
        if metric.before is not None:
            before.setdefault(metric.file, {})[metric.name] = metric.before
    return _sources(before), _sources(after)


def _sources(values: Mapping[str, Mapping[str, float]]) -> dict[str, Source]:
    return {f"{file}.json": Source(json.dumps(numbers).encode()) for file, numbers in values.items()}


def _as_json(metric: str) -> str:
    """Return a gate's metric with the name that its file has here."""
    file, colon, name = metric.rpartition(":")
    return f"{file}.json:{name}" if colon else metric
