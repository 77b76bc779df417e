"""Implement `mlbutler train list` and `mlbutler train show`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from mlbutler.commands.train.opening import Training, as_json, listed, opened, print_json
from mlbutler.console import Console, human_seconds
from mlbutler.errors import EXIT_PASSED
from mlbutler.reproduce.progress import load_progress
from mlbutler.train.experiment import ENDED, UNDER_WAY, Experiment, State

_ORDER = (State.RUNNING, State.SAVING, State.PREPARING, State.LOST, State.WAITING)


def list_all(directory: Path, console: Console, names: Sequence[str], states: Sequence[str]) -> int:
    """Show the experiments, those under way first; return the exit code.

    Args:
        names: these alone: names, patterns, grids. states: those in one of these states alone.
    """
    training = opened(directory, console)
    found = training.named(names) if names else training.all()
    shown = [(training.engine.shown(kept.experiment), kept.experiment) for kept in found]
    shown = [(state, one) for state, one in shown if not states or state in states]
    shown.sort(key=lambda pair: _ORDER.index(pair[0]) if pair[0] in _ORDER else len(_ORDER))
    if console.json:
        print_json([as_json(training, one) for _, one in shown])
        return EXIT_PASSED
    if not shown:
        console.line("There are no experiments." if not (names or states) else "No experiment is of that kind.")
        return EXIT_PASSED
    console.line(_counts([state for state, _ in shown]))
    rows = [(one.name, str(state), " ".join(one.overrides), said(training, one, state)) for state, one in shown]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        console.line(
            "  ".join((*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[3])).rstrip()
        )
    for line in stuck(training):
        console.line(line)
    return EXIT_PASSED


def show(directory: Path, console: Console, name: str) -> int:
    """Show all that is known of one experiment; return the exit code."""
    training = opened(directory, console)
    experiment = training.one(name).experiment
    state = training.engine.shown(experiment)
    if console.json:
        print_json(as_json(training, experiment))
        return EXIT_PASSED
    for title, text in _fields(training, experiment, state):
        console.line(f"{title:<10} {text}")
    for line in experiment.tail:
        console.line(f"  | {line}")
    for text in _next(experiment, state):
        console.line(f"next: {text}")
    return EXIT_PASSED


def said(training: Training, experiment: Experiment, state: State) -> str:
    """Return what there is to say of a state in a few words: what it waits for, how far it is, why it ended."""
    if state is State.WAITING:
        before = [kept.experiment for kept in training.engine.mine() if kept.experiment.state is State.WAITING]
        number = next((place for place, one in enumerate(before) if one.id == experiment.id), 0)
        return "; ".join(filter(None, (f"{number} before it" if number else "next", experiment.reason)))
    if state in UNDER_WAY:
        since = human_seconds(max(time.time() - (experiment.started or time.time()), 0))
        asked = ["is being cancelled"] if experiment.cancel is not None else []
        return ", ".join([f"for {since}", *_progress(training, experiment), *asked])
    return experiment.reason


def stuck(training: Training) -> Iterator[str]:
    """Say which experiments nobody works at."""
    mine = [kept.experiment for kept in training.engine.mine()]
    lost = [one.name for one in mine if training.engine.shown(one) is State.LOST]
    if lost:
        yield f"The process that ran {listed(lost)} is gone: `mlbutler train wait` takes it up again."
    elif any(one.state is State.WAITING for one in mine) and training.engine.is_idle():
        yield "Nothing works at those that wait: `mlbutler train wait` starts them."


def _progress(training: Training, experiment: Experiment) -> Iterator[str]:
    root = training.place.scratch(experiment.id) / "clone" / experiment.project
    now = load_progress(root) if root.is_dir() else None
    if now is not None:
        yield f"stage {min(len(now.done) + 1, now.stages)} of {now.stages}" + (
            f": {now.running}" if now.running else ""
        )


def _counts(states: Sequence[State]) -> str:
    order = dict.fromkeys((*_ORDER, *ENDED))
    return ", ".join(f"{states.count(state)} {state}" for state in order if state in states)


def _fields(training: Training, experiment: Experiment, state: State) -> Iterator[tuple[str, str]]:
    yield "name", experiment.name
    yield "state", ": ".join(filter(None, (str(state), said(training, experiment, state))))
    if experiment.overrides:
        yield "overrides", " ".join(experiment.overrides)
    if experiment.targets:
        yield "targets", " ".join(experiment.targets)
    if experiment.grid != experiment.name:
        yield "grid", experiment.grid
    yield "baseline", experiment.baseline[:10]
    yield "input", experiment.input[:10] + (" (the baseline itself)" if experiment.input == experiment.baseline else "")
    if experiment.result:
        yield "result", experiment.result[:10]
    if experiment.started is not None and experiment.ended is not None:
        yield "took", human_seconds(max(experiment.ended - experiment.started, 0))
    if experiment.attempt > 1:
        yield "attempt", str(experiment.attempt)
    for stage in experiment.stages:
        took = f", {human_seconds(stage.seconds)}" if stage.outcome == "ran" else ""
        yield "stage", f"{stage.name}: {stage.outcome}{took}"
    yield "id", experiment.id


def _next(experiment: Experiment, state: State) -> Iterator[str]:
    if experiment.remedy:
        yield experiment.remedy
    if state is State.DONE:
        yield f"mlbutler train fetch {experiment.name}, or dvc exp apply {experiment.name}"
    elif state in (State.FAILED, State.NOT_SET_UP):
        yield f"mlbutler train logs {experiment.name}"
