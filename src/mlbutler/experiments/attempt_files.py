"""The files in the work tree by which the commands of one attempt on a CI server hand over to one another.

The project's code can write them, so that those who read them afterwards believe nothing: each is a plain file of a
bounded size, and what it holds is checked.
"""

from __future__ import annotations

from pathlib import Path

from mlbutler import atomic
from mlbutler.errors import ProjectError, UsageError
from mlbutler.experiments import declared
from mlbutler.experiments.declared import DeclaredPaths
from mlbutler.experiments.experiment import Experiment, dump_experiment, parse_experiment
from mlbutler.experiments.train_folder import TrainFolder
from mlbutler.symlinks import open_plain

_LARGEST = 1 << 20
GRACE = 30.0
"""Seconds that a stage has to end where nobody says how many."""


class AttemptFiles:
    """The files of one attempt.

    Args:
        root: the project's root.
    """

    def __init__(self, root: Path) -> None:
        self._folder = TrainFolder(root)
        path = self._folder.path
        self._experiment, self._end = path / "experiment.json", path / "end.json"
        self._attempt, self._stop = path / "attempt", path / "stop"
        self._declared = path / "declared.json"
        self.log = path / "log.txt"

    def clear(self) -> None:
        """Remove what another attempt left here.

        Raises:
            PathRefused: a link leads elsewhere.
        """
        self._folder.prepare()
        for path in (self._experiment, self._end, self._attempt, self._stop, self._declared, self.log):
            path.unlink(missing_ok=True)

    def write_start(self, experiment: Experiment, found: DeclaredPaths) -> None:
        """Write an experiment that is ready to be run; the pipeline reads the attempt's number.

        Args:
            found: what its stages declare.
        """
        atomic.write(self._declared, declared.dump_declared(found))
        atomic.write(self._experiment, dump_experiment(experiment))
        atomic.write(self._attempt, f"{experiment.attempt}\n".encode())

    def read_experiment(self) -> Experiment:
        """Return the experiment that is to be run.

        Raises:
            UsageError: none was begun here.
        """
        content = _read(self._experiment, _LARGEST)
        if content is None:
            raise UsageError("No experiment was begun here.", "`mlbutler train agent begin` comes first.")
        return parse_experiment(content)

    def read_declared(self) -> DeclaredPaths:
        """Return what the stages declare."""
        return declared.parse_declared(_read(self._declared, _LARGEST) or b"")

    def write_end(self, experiment: Experiment) -> None:
        """Write how it ended."""
        atomic.write(self._end, dump_experiment(experiment))

    def read_end(self, id: str) -> Experiment | None:
        """Return how it ended, None where nothing can be read: what ran it was killed."""
        content = _read(self._end, _LARGEST)
        try:
            found = parse_experiment(content) if content is not None else None
        except ProjectError:
            return None
        return found if found is not None and found.id == id else None

    def read_grace(self) -> float | None:
        """Return the seconds that the stage has to end, once it was asked for; None before."""
        content = _read(self._stop, 100)
        if content is None:
            return None
        text = content.decode("ascii", "replace").strip()
        return float(text) if text.isascii() and text.isdigit() and len(text) <= 5 else GRACE


def _read(path: Path, most: int) -> bytes | None:
    """Return at most so many bytes of a file's beginning; None where it is no plain file."""
    try:
        with open_plain(path) as file:
            return file.read(most)
    except OSError:
        return None
