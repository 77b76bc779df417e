"""Implement `mlbutler train wait`: until experiments have ended, with their result as the exit code."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from mlbutler.commands.train.opening import Training, opened, print_experiments, watching
from mlbutler.commands.train.telling import show_on_desktop
from mlbutler.console import Console
from mlbutler.errors import EXIT_INTERRUPTED, EXIT_JUDGED, EXIT_OUTSIDE, EXIT_PASSED
from mlbutler.train.experiment import Experiment
from mlbutler.train.starting import start
from mlbutler.train.state import ENDED, State

_POLL = 0.3
_CODES = {
    State.DONE: EXIT_PASSED, State.FAILED: EXIT_JUDGED, State.TIMED_OUT: EXIT_JUDGED, State.NOT_SET_UP: EXIT_OUTSIDE,
    State.CANCELLED: EXIT_INTERRUPTED,
}  # fmt: skip
_WEIGHTIEST_FIRST = (EXIT_INTERRUPTED, EXIT_OUTSIDE, EXIT_JUDGED)


def wait(directory: Path, console: Console, names: Sequence[str]) -> int:
    """Wait until the named experiments have ended, or all that have not; return the exit code.

    What nobody works at, because the processes were killed or the machine was started anew, is taken up.
    """
    training = opened(directory, console)
    found = training.named(names) if names else [one for one in training.all() if one.experiment.state not in ENDED]
    if not found:
        console.line("No experiment is under way.")
    ids = [kept.experiment.id for kept in found]
    with watching("wait", *names):
        ended = _until_ended(training, ids)
        show_on_desktop(training, ended)
    if console.json:
        print_experiments(training, ended)
    codes = {_CODES[one.state] for one in ended}
    return next((code for code in _WEIGHTIEST_FIRST if code in codes), EXIT_PASSED)


def _until_ended(training: Training, ids: Sequence[str]) -> list[Experiment]:
    """Return the experiments as they ended; each change of one is shown."""
    before: dict[str, tuple[State, int]] = {}
    ended: dict[str, Experiment] = {}
    left = list(ids)
    while left:
        for id in left:
            kept = training.experiments.read(id)
            if kept is None:  # removed
                left = [one for one in left if one != id]
                continue
            one, state = kept.experiment, training.engine.shown(kept.experiment)
            if before.get(id) != (state, one.attempt):
                before[id] = state, one.attempt
                training.console.line(f"{one.name}: {state}" + (f": {one.reason}" if one.reason else ""))
            if one.state in ENDED:
                ended[id] = one
                left = [other for other in left if other != id]
        if left:
            if training.engine.is_idle():
                start(training.engine, training.place)
            time.sleep(_POLL)
    return [ended[id] for id in ids if id in ended]
