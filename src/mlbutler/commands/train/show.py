"""Implement `mlbutler train show`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mlbutler.commands.train.listing import metric_text, state_text
from mlbutler.commands.train.opening import Training, experiment_json, open_training, print_json
from mlbutler.console import Console, human_seconds
from mlbutler.errors import EXIT_PASSED
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.state import State


def show(directory: Path, console: Console, name: str) -> int:
    """Show all that is known of one experiment; return the exit code."""
    training = open_training(directory, console)
    experiment = training.select_one(name).experiment
    state = training.engines.effective_state(experiment)
    if console.json:
        print_json(experiment_json(training, experiment))
        return EXIT_PASSED
    for title, text in _fields(training, experiment, state):
        console.line(f"{title:<10} {text}")
    for line in experiment.tail:
        console.line(f"  | {line}")
    for text in next_steps(experiment, state):
        console.line(f"next: {text}")
    return EXIT_PASSED


def _fields(training: Training, experiment: Experiment, state: State) -> Iterator[tuple[str, str]]:
    yield "name", experiment.name
    reason = experiment.reason if state is State.DONE else state_text(training, experiment, state)
    yield "state", ": ".join(filter(None, (str(state), reason)))
    if experiment.overrides:
        yield "overrides", " ".join(experiment.overrides)
    if experiment.targets:
        yield "targets", " ".join(experiment.targets)
    if experiment.grid != experiment.name:
        yield "grid", experiment.grid
    if (search := experiment.search) is not None:
        yield "search", f"trial {experiment.number} of {search.trials} to {search.goal} {search.metric}"
    yield from _result_fields(experiment)


def _result_fields(experiment: Experiment) -> Iterator[tuple[str, str]]:
    """Yield what was run, where, and what came of it."""
    yield "baseline", experiment.baseline[:10]
    yield "input", experiment.input[:10] + (" (the baseline itself)" if experiment.input == experiment.baseline else "")
    if experiment.result:
        yield "result", experiment.result[:10]
    if experiment.started is not None and experiment.ended is not None:
        yield "took", human_seconds(max(experiment.ended - experiment.started, 0))
    if experiment.user:
        yield "sent by", experiment.user
    if experiment.build:
        yield "build", f"{experiment.build}{f' on {experiment.agent}' if experiment.agent else ''}"
    if experiment.attempt > 1:
        yield "attempt", str(experiment.attempt)
    if experiment.resumed:
        yield "resumed", f"from {experiment.resumed}"
    for stage in experiment.stages:
        took = f", {human_seconds(stage.seconds)}" if stage.outcome == "ran" else ""
        yield "stage", f"{stage.name}: {stage.outcome}{took}"
    for metric in experiment.metrics:
        yield "metric", f"{metric.file}: {metric_text(metric)}"
    yield "id", experiment.id


def next_steps(experiment: Experiment, state: State) -> Iterator[str]:
    """Yield what to do next with an experiment."""
    if experiment.remedy:
        yield experiment.remedy
    if state is State.DONE:
        yield f"mlbutler train fetch {experiment.name}, or dvc exp apply {experiment.name}"
    elif state in (State.FAILED, State.NOT_SET_UP):
        yield f"mlbutler train logs {experiment.name}"
    elif state is State.LOST:
        yield f"mlbutler train wait {experiment.name}, which takes it up again"
    elif state is State.CANCELLED:
        yield f"mlbutler train retry {experiment.name}"
