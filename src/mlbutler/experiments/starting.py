"""Start the processes that run experiments on this machine."""

from __future__ import annotations

import os
import select
import sys

from mlbutler.experiments import keeper
from mlbutler.experiments.local import LocalEngine
from mlbutler.experiments.state import State
from mlbutler.experiments.train_folder import TrainFolder

_TIMEOUT = 60.0
"""Seconds that workers have to begin; nothing depends on it but what is shown meanwhile."""


def start_workers(engine: LocalEngine, folder: TrainFolder) -> None:
    """Start as many workers as have something to do, and wait until they are at work; one that finds nothing ends."""
    due = [
        one.experiment
        for one in engine.own_experiments()
        if engine.effective_state(one.experiment) in (State.WAITING, State.LOST)
    ]
    folder.prepare()
    read, write = os.pipe()
    try:
        for _ in range(min(len(due), max((one.jobs for one in due), default=0))):
            command = [sys.executable, "-P", "-m", "mlbutler.experiments.worker", os.fspath(folder.root)]
            keeper.start(command, os.fspath(folder.root), os.fspath(folder.worker_log), write)
    finally:
        os.close(write)
        # It is at its end once all have closed it: each does so when it holds its slot, and at its own end.
        select.select([read], [], [], _TIMEOUT)
        os.close(read)
