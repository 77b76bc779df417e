"""Implement `mlbutler train wait`: until experiments have ended, with their result as the exit code."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from mlbutler.commands.train.desktop_notice import notify_desktop
from mlbutler.commands.train.opening import Training, explain_interrupt, open_training, print_experiments
from mlbutler.console import Console
from mlbutler.errors import EXIT_INTERRUPTED, EXIT_JUDGED, EXIT_OUTSIDE, EXIT_PASSED, OutsideError
from mlbutler.experiments.all_experiments import Engines
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.refs import StoredExperiment
from mlbutler.experiments.scheduling import is_standing_still, open_searches
from mlbutler.experiments.starting import start_workers
from mlbutler.experiments.state import ENDED, State

_POLL, _POLL_REMOTE = 0.3, 2.0
_MOST_IN_VAIN = 10
CODES = {
    State.DONE: EXIT_PASSED, State.FAILED: EXIT_JUDGED, State.TIMED_OUT: EXIT_JUDGED, State.NOT_SET_UP: EXIT_OUTSIDE,
    State.CANCELLED: EXIT_INTERRUPTED,
}  # fmt: skip
"""The exit code of each end."""
_WEIGHTIEST_FIRST = (EXIT_OUTSIDE, EXIT_JUDGED, EXIT_INTERRUPTED)
"""What was cancelled comes last: of a sweep it often was because others failed."""


def wait(directory: Path, console: Console, names: Sequence[str]) -> int:
    """Wait until the named experiments have ended, or all that have not; return the exit code.

    What nobody works at, because the processes were killed or the machine was restarted, is taken up.
    """
    training = open_training(directory, console)
    ended = wait_until_ended(training, names)
    notify_desktop(training, ended)
    if console.json:
        print_experiments(training, ended)
    codes = {CODES[one.state] for one in ended}
    return next((code for code in _WEIGHTIEST_FIRST if code in codes), EXIT_PASSED)


def wait_until_ended(training: Training, names: Sequence[str]) -> list[Experiment]:
    """Wait until the named experiments have ended, or all that have not; return them as they ended.

    Raises:
        UsageError: a name is none's. Interrupted: Ctrl-C; the experiments go on. OutsideError: nothing can run them.
    """
    everything = training.all()
    found = training.select(names) if names else [one for one in everything if one.experiment.state not in ENDED]
    ids = [kept.experiment.id for kept in found]
    searched = _Searched(training, _select_searches(names, ids, open_searches(kept.experiment for kept in everything)))
    if not found and not searched.grids:
        training.console.line("No experiment is under way.")
    with explain_interrupt("wait", *names):
        return _watch_until_ended(training, ids, searched)


def _select_searches(
    names: Sequence[str], ids: Collection[str], going_on: Mapping[str, Sequence[Experiment]]
) -> set[str]:
    """Return the searches that are waited for as a whole, with the trials that they do not have yet."""
    if not names:
        return set(going_on)
    several = {grid for grid, found in going_on.items() if len(found) > 1 and all(one.id in ids for one in found)}
    return several | (going_on.keys() & set(names))


class _Searched:
    """Searches that are waited for: their new trials, and how one that is stalled goes on.

    Attributes:
        grids: their names.
    """

    def __init__(self, training: Training, grids: set[str]) -> None:
        self._training, self.grids = training, grids
        self._still: set[str] = set()

    def new(self, now: Mapping[str, Experiment], known: Collection[str]) -> list[str]:
        """Return the ids of trials that are not among those known."""
        return [id for id, one in now.items() if one.grid in self.grids and id not in known]

    def take_up(self, now: Mapping[str, Experiment]) -> bool:
        """Create the next trials where nothing of a search is under way for two looks; return whether any goes on."""
        going_on = {grid: found for grid, found in open_searches(now.values()).items() if grid in self.grids}
        still = {grid for grid, found in going_on.items() if is_standing_still(found)}
        for grid in still & self._still:  # an experiment that ends creates the next one itself, a moment later
            self._grow(going_on[grid][-1])
        self._still = still - self._still
        return bool(going_on)

    def _grow(self, last: Experiment) -> None:
        from mlbutler.commands.train.searching import create_trials  # which needs DVC, as few who wait do
        from mlbutler.commands.train.submitters import restart_experiments

        restart_experiments(self._training, create_trials(self._training, last))


def _watch_until_ended(training: Training, ids: list[str], searched: _Searched) -> list[Experiment]:
    """Return the experiments as they ended; each change of one is shown."""
    before: dict[str, tuple[State, int]] = {}
    ended: dict[str, Experiment] = {}
    due, vain, going_on = frozenset[str](), 0, bool(ids or searched.grids)
    while going_on:
        found, seen = training.all(), dict(before)
        now = {kept.experiment.id: kept.experiment for kept in found}
        ids += searched.new(now, ids)
        for id in (id for id in ids if id in now and id not in ended):  # others were removed
            one, state = now[id], training.engines.effective_state(now[id])
            if before.get(id) != (state, one.attempt):
                before[id] = state, one.attempt
                training.console.line(f"{one.name}: {state}" + (f": {one.reason}" if one.reason else ""))
            if one.state in ENDED:
                ended[id] = one
        left = [id for id in ids if id in now and id not in ended]
        if left:
            vain = _start_local_workers(training, found, 0 if before != seen else vain)
            remote = [kept for kept in found if training.engines.runs_on_jenkins(kept.experiment)]
            grids = {now[id].grid for id in left}
            due = _take_up(training.engines, [kept for kept in remote if kept.experiment.grid in grids], due)
        going_on = searched.take_up(now) or bool(left)
        if going_on:
            slow = not left or any(training.engines.runs_on_jenkins(now[id]) for id in left)
            time.sleep(_POLL_REMOTE if slow else _POLL)
    return [ended[id] for id in ids if id in ended]


def _start_local_workers(training: Training, found: Sequence[StoredExperiment], vain: int) -> int:
    """Start what is due on this machine and that nobody works at; return how often that failed.

    Args:
        found: all experiments, as they were read a moment ago.
        vain: how often it was until now, without a change of any experiment.

    Raises:
        OutsideError: it failed too often.
    """
    if not training.engines.local.is_idle(found):
        return 0
    if vain == _MOST_IN_VAIN:
        log = training.folder.worker_log.relative_to(training.folder.root)
        raise OutsideError(
            "The processes that run experiments on this machine end before they begin with one.",
            f"Look whether the disk is full (df -h .), and at the end of {log}; then wait again.",
        )
    start_workers(training.engines.local, training.folder)
    return vain + 1


def _take_up(engine: Engines, remote: Sequence[StoredExperiment], before: frozenset[str]) -> frozenset[str]:
    """Start builds for experiments that are lost, and for those that nobody has started.

    Args:
        remote: all experiments of their grids. before: ids of those that nobody had started when it was looked last: a
            build that ends starts the next ones itself, a moment later.

    Returns:
        The ids of those that nobody has started.
    """
    if not remote or engine.jenkins_error is not None:
        return frozenset()
    engine.jenkins.recover(remote)
    due = frozenset(one.id for one in engine.jenkins.due_experiments(remote))
    if due & before:
        engine.jenkins.start(remote)
        return frozenset()
    return due
