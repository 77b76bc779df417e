"""Start the processes that run experiments on this machine."""

from __future__ import annotations

import os
import subprocess
import sys

from mlbutler.train.experiment import State
from mlbutler.train.local import LocalEngine
from mlbutler.train.place import Place


def start(engine: LocalEngine, place: Place) -> None:
    """Start as many workers as have something to do; those that find nothing end at once."""
    due = [one.experiment for one in engine.mine() if engine.shown(one.experiment) in (State.WAITING, State.LOST)]
    for _ in range(min(len(due), max((one.jobs for one in due), default=0))):
        _start_worker(place)


def _start_worker(place: Place) -> None:
    place.prepare()
    with (place.folder / "worker.log").open("ab") as out:
        subprocess.Popen(
            [sys.executable, "-P", "-m", "mlbutler.train.worker", os.fspath(place.root)],
            cwd=place.root, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True,  # so that it outlives the terminal
        )  # fmt: skip
