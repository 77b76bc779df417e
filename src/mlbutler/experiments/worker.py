"""A process that runs the experiments that wait, one after the other, without a terminal.

It is started as ``python -m mlbutler.experiments.worker ROOT [FD]`` by its keeper, and closes the descriptor when it is
at work. Several may work at once: each holds a slot, and of each experiment the lock of its name. Both are let go of by
the machine when the process ends, so that another one sees that an experiment is lost and takes it up.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from mlbutler.errors import MlbutlerError, OutsideError
from mlbutler.experiments import keeper
from mlbutler.experiments.attempt import Stopped
from mlbutler.experiments.attempt_end import AttemptEnd, after_attempt
from mlbutler.experiments.delivery import deliver_in_background
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.gpu_lease import GpuLease, lease_gpus
from mlbutler.experiments.local import LocalEngine
from mlbutler.experiments.local_attempt import LocalAttempt
from mlbutler.experiments.log import read_log
from mlbutler.experiments.notices import Notice, end_notice, loss_notice
from mlbutler.experiments.refs import Experiments, StoredExperiment
from mlbutler.experiments.scheduling import end_by_failures, open_searches
from mlbutler.experiments.state import ENDED, State
from mlbutler.experiments.train_folder import TrainFolder
from mlbutler.git import Git
from mlbutler.process import output_redactor
from mlbutler.settings import Settings, load

_TIMEOUT = 5.0
"""Seconds that somebody may hold a lock who only looks whether it is held."""


def main(root: Path, environ: Mapping[str, str], ready: Callable[[], None]) -> int:
    """Work until nothing waits; return the exit code.

    Args:
        ready: called once a slot is held, or all are held by others.
    """
    os.chdir(root)
    top = Git(root, environ).toplevel()
    folder = TrainFolder(root)
    worker = Worker(Git(top, environ), folder, environ, ready)
    while worker.work():  # submitted since it looked, by somebody who saw that its slot was held
        if not worker.is_kept():
            command = [sys.executable, "-P", "-m", "mlbutler.experiments.worker", os.fspath(root)]
            keeper.start(command, os.fspath(root), os.fspath(folder.worker_log))
            break
    return 0


class Worker:
    """Take up experiments of one work tree.

    Args:
        git: at the repository's root. environ: with the credentials of remotes. ready: as `main` takes it.
    """

    def __init__(self, git: Git, folder: TrainFolder, environ: Mapping[str, str], ready: Callable[[], None]) -> None:
        self._git, self._folder, self._environ, self._ready = git, folder, environ, ready
        self._experiments = Experiments(git)
        self._engine = LocalEngine(self._experiments, folder)
        self._redactor = output_redactor(environ)
        self._stopped = False
        self._keeper = os.getppid()

    def is_kept(self) -> bool:
        """Tell whether the process still lives that starts another worker when this one is killed."""
        return os.getppid() == self._keeper

    def work(self) -> bool:
        """Take a slot and run what may run in it; return whether there is more by now."""
        self._recover()
        most = max((one.experiment.jobs for one in self._waiting()), default=0)
        with self._slot(most) as number:
            self._ready()
            if number is None:
                return False
            while not self._stopped and self.is_kept() and (kept := self._next(number)) is not None:
                self._take(kept)
                self._recover()
        # What was submitted while the slot was held found no worker that could take it.
        return not self._stopped and self._next(number) is not None

    def _recover(self) -> None:
        for experiment in self._engine.recover():
            self._deliver(loss_notice(experiment))

    @contextmanager
    def _slot(self, most: int) -> Iterator[int | None]:
        with ExitStack() as stack:
            for number in range(most):
                if stack.enter_context(self._folder.lock(f"slot-{number}")):
                    yield number
                    return
            yield None

    def _waiting(self) -> list[StoredExperiment]:
        mine = self._engine.own_experiments()
        new = [self._has_grown(grid) for grid in open_searches(one.experiment for one in mine)]
        if any(new):
            mine = self._engine.own_experiments()
        found = [one for one in mine if one.experiment.state is State.WAITING]
        return [one for one in found if not self._cancel_after_failures(one, mine)]

    def _next(self, slot: int) -> StoredExperiment | None:
        return next((one for one in self._waiting() if one.experiment.jobs > slot), None)

    def _has_grown(self, grid: str) -> bool:
        """Create the next trials of a search; return whether there are new ones."""
        from mlbutler.experiments.search import TrialCreator  # which needs DVC, as no sweep does

        growing = TrialCreator(self._git, self._experiments, self._folder.has_sent, self._folder.mark_sent)
        try:
            return bool(growing.create(grid))
        except MlbutlerError as error:
            self._say(f"The search {grid} is stalled: {error.message} {error.remedy}")
            return False

    def _cancel_after_failures(self, kept: StoredExperiment, mine: Sequence[StoredExperiment]) -> bool:
        """Cancel an experiment of a grid of which too many have failed."""
        end = end_by_failures(kept.experiment, [one.experiment for one in mine])
        if end is None:
            return False
        self._end(kept.experiment.id, lambda now: end.apply_to(now) if now.state is State.WAITING else None)
        return True

    def _take(self, kept: StoredExperiment) -> None:
        id = kept.experiment.id
        with self._folder.lock(id, _TIMEOUT) as ours:
            now = self._waiting_still(id) if ours else None
            if now is None:
                return
            try:
                with self._wait_for_gpus(now.experiment) as lease:
                    self._begin(id, lease)
            except OutsideError as error:
                end = AttemptEnd(State.NOT_SET_UP, error.message, error.remedy)
                self._end(id, lambda now: end.apply_to(now) if now.state is State.WAITING else None)

    def _waiting_still(self, id: str) -> StoredExperiment | None:
        now = self._experiments.read(id)
        return now if now is not None and now.experiment.state is State.WAITING else None

    def _wait_for_gpus(self, experiment: Experiment) -> AbstractContextManager[GpuLease | None]:
        """Wait for the experiment's GPUs, for as long as it is to be run at all."""

        def go_on(waits: str) -> bool:
            now = self._waiting_still(experiment.id)
            if now is not None and now.experiment.reason != waits:
                self._experiments.replace(now, now.experiment.with_(reason=waits))
            return now is not None

        return lease_gpus(experiment.gpus, self._environ, self._settings().train.gpu_folder, go_on)

    def _begin(self, id: str, lease: GpuLease | None) -> None:
        now = self._waiting_still(id)
        if now is not None and lease is not None:
            started = now.experiment.with_(
                state=State.PREPARING, started=time.time(), attempt=now.experiment.attempt + 1, reason=""
            )
            if (taken := self._experiments.replace(now, started)) is not None:
                self._run(taken, lease)

    def _run(self, taken: StoredExperiment, lease: GpuLease) -> None:
        id = taken.experiment.id
        self._folder.clear(id)
        end = self._attempt(taken, lease)
        log = read_log(self._folder.log_file(id))
        end = end.redacted(self._redactor)
        self._end(id, lambda now: with_end(now, end), log)
        self._folder.clear(id)

    def _end(self, id: str, change: Callable[[Experiment], Experiment | None], log: bytes | None = None) -> None:
        """Change an experiment whose attempt is over, and notify people of what that means."""
        # Of two that end at once, each would find that all have ended.
        with self._folder.lock("telling", _TIMEOUT):
            now = self._experiments.change(id, change, log)
            notice = self._notice(now.experiment) if now is not None else None
        if notice is not None:
            self._deliver(notice)

    def _notice(self, experiment: Experiment) -> Notice | None:
        if experiment.state is State.WAITING:
            return loss_notice(experiment)
        grid = [one.experiment for one in self._engine.own_experiments() if one.experiment.grid == experiment.grid]
        return end_notice(experiment, grid, self._settings().gate)

    def _deliver(self, notice: Notice) -> None:
        deliver_in_background(notice, self._settings(), self._environ, self._say)

    def _settings(self) -> Settings:
        try:
            return load(self._folder.root, self._environ).settings
        except MlbutlerError as error:  # written since the experiment was sent
            self._say(error.message)
            return Settings()

    def _say(self, text: str) -> None:
        print(self._redactor.hide(text), file=sys.stderr, flush=True)

    def _attempt(self, taken: StoredExperiment, lease: GpuLease) -> AttemptEnd:
        try:
            settings = load(self._folder.root, self._environ).settings
            return LocalAttempt(self._git, self._experiments, self._folder, settings, self._environ).run(taken, lease)
        except Stopped:
            self._stopped = True
            return AttemptEnd(State.LOST, "the process that ran it was asked to stop")
        except MlbutlerError as error:
            return AttemptEnd(State.NOT_SET_UP, error.message, error.remedy)
        except Exception as error:  # the next experiment is to run all the same
            self._say(traceback.format_exc())
            where = f"Please report it with {self._folder.worker_log}."
            return AttemptEnd(State.NOT_SET_UP, f"a bug of mlbutler: {type(error).__name__}: {error}", where)


def with_end(now: Experiment, end: AttemptEnd) -> Experiment | None:
    """Return the experiment with the end of its attempt; None where it has ended already."""
    return None if now.state in ENDED else after_attempt(now, end)


if __name__ == "__main__":
    told = os.fdopen(int(sys.argv[2]), "wb").close if len(sys.argv) > 2 else lambda: None
    sys.exit(main(Path(sys.argv[1]), os.environ, told))
