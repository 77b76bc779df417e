"""Implement `mlbutler train logs` and `attach`: what an experiment prints, or printed, and what becomes of it."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from mlbutler.commands.train.opening import Training, explain_interrupt, open_training, print_json
from mlbutler.commands.train.show import next_steps
from mlbutler.commands.train.waiting import CODES
from mlbutler.console import Console
from mlbutler.errors import EXIT_OUTSIDE, EXIT_PASSED, UsageError
from mlbutler.experiments import log_progress
from mlbutler.experiments.build_log import BuildLog
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.log_times import log_since
from mlbutler.experiments.refs import StoredExperiment
from mlbutler.experiments.state import ENDED, State
from mlbutler.frozen import frozen
from mlbutler.live_lines import clean

_POLL = 0.2


@frozen
class LogStart:
    """Where a log is printed from.

    Attributes:
        lines: so many of its last ones, None: all. age: those of the last so many seconds, None: of any time.
    """

    lines: int | None = None
    age: float | None = None

    def cut(self, content: bytes, ended: float | None = None) -> bytes:
        """Return what of a log is printed.

        Args:
            ended: when the experiment did.
        """
        if self.age is not None:
            when = time.time() - self.age
            content = log_since(content, when) if ended is None or ended >= when else b""
        lines = self.lines
        return content if lines is None else b"".join(content.splitlines(keepends=True)[-lines:] if lines else [])


_ALL = LogStart()
_ATTACHED = LogStart(lines=20)


def logs(directory: Path, console: Console, name: str, *, follow: bool, beginning: LogStart) -> int:
    """Print an experiment's log; return the exit code.

    Args:
        follow: go on until the experiment ends.

    Raises:
        UsageError: there is no such experiment, or no log of it yet.
    """
    training = open_training(directory, console)
    kept = training.select_one(name)
    experiment = kept.experiment
    if follow and not console.json and experiment.state not in ENDED:
        with explain_interrupt("logs", "-f", experiment.name):
            return _ignore_closed_pipe(lambda: _follow(training, kept, beginning))
    content = _read_current_log(training, kept)
    if not content:
        raise UsageError(f"{experiment.name} has no log: it is {training.engines.effective_state(experiment)}.",
                         f"mlbutler train show {experiment.name}")  # fmt: skip
    shown = beginning.cut(content, experiment.ended)
    if console.json:
        print_json({"name": experiment.name, "lines": shown.decode("utf-8", "replace").splitlines()})
        return EXIT_PASSED
    return _ignore_closed_pipe(lambda: _write(shown))


def attach(directory: Path, console: Console, name: str) -> int:
    """Follow an experiment until its end, its states as well as what it prints; return the exit code: its result.

    Raises:
        UsageError: there is no such experiment. Interrupted: Ctrl-C; it goes on.
    """
    training = open_training(directory, console)
    kept = training.select_one(name)
    with explain_interrupt("attach", kept.experiment.name):
        if kept.experiment.state in ENDED:
            _ignore_closed_pipe(
                lambda: _write(_render_progress(_ATTACHED.cut(_read_current_log(training, kept) or b"")))
            )
        else:
            states = _States(training)
            _ignore_closed_pipe(lambda: _follow(training, kept, _ATTACHED, states))
    now = training.experiments.reread(kept)
    if now is None:
        return EXIT_OUTSIDE
    for text in next_steps(now.experiment, training.engines.effective_state(now.experiment)):
        console.error(f"next: {text}")
    return CODES.get(now.experiment.state, EXIT_OUTSIDE)


class _States:
    """Lines about an experiment's state, printed between those of its log when the state changes."""

    def __init__(self, training: Training) -> None:
        self._training = training
        self._said = ""

    def next_line(self, experiment: Experiment | None) -> bytes:
        """Return a line where the state, or the reason that it waits, has changed since the last call."""
        if experiment is None:
            return b""
        state = self._training.engines.effective_state(experiment)
        attempt = f", attempt {experiment.attempt}" if experiment.attempt > 1 else ""
        where = f" on {experiment.agent}" if experiment.agent else ""
        reason = f": {experiment.reason}" if experiment.reason else ""
        text = f"== {experiment.name}: {state}{where}{attempt}{reason}\n"
        said, self._said = self._said, text
        return b"" if said == text or state in (*ENDED, State.LOST) else text.encode()  # an end is said at the end


def _read_current_log(training: Training, kept: StoredExperiment) -> bytes | None:
    """Return what there is of an experiment's log now."""
    experiment = kept.experiment
    if training.engines.runs_on_jenkins(experiment):
        if experiment.state in ENDED:
            return training.experiments.log(kept)
        return b"".join(
            f"{line}\n".encode() for line in BuildLog(training.engines.jenkins, experiment.id).current_lines()
        )
    path = training.folder.log_file(experiment.id)
    return path.read_bytes() if path.exists() else training.experiments.log(kept)


def _render_progress(content: bytes) -> bytes:
    """Return what was written with the lines that say how far it is in words; all else stays as it is."""
    if log_progress.MARK not in content:
        return content
    lines = content.decode("utf-8", "surrogateescape").split("\n")
    return "\n".join(map(log_progress.readable_line, lines)).encode("utf-8", "surrogateescape")


def _ignore_closed_pipe(write: Callable[[], int]) -> int:
    """Return the exit code of `write`; 0 where the reader has seen enough, as ``head`` has."""
    try:
        return write()
    except BrokenPipeError:
        return EXIT_PASSED


def _write(content: bytes) -> int:
    """Write to the descriptor itself: `sys.stdout` ignores a pipe that its reader has closed, which ends this verb."""
    left = memoryview(content)
    while left:
        left = left[os.write(sys.stdout.fileno(), left) :]
    return EXIT_PASSED


def _follow(training: Training, kept: StoredExperiment, beginning: LogStart, states: _States | None = None) -> int:
    remote = training.engines.runs_on_jenkins(kept.experiment)
    id = kept.experiment.id
    for experiment, content in _follow_build_log(training, id) if remote else _follow_log_file(training, id):
        if states is not None:
            _write(states.next_line(experiment))
        if content:
            shown = beginning.cut(content)
            _write(shown if states is None else _render_progress(shown))
            beginning = _ALL
    now = training.experiments.reread(kept)
    if now is None:
        training.console.error("It was removed.")
        return EXIT_OUTSIDE
    state = training.engines.effective_state(now.experiment)
    reason = f": {now.experiment.reason}" if now.experiment.reason else ""
    training.console.error(f"{now.experiment.name} is {state}{reason}")
    return EXIT_OUTSIDE if state is State.LOST else EXIT_PASSED


Written = tuple[Experiment | None, bytes]
"""An experiment, as it was when it was looked at last, and what it has written since."""


def _follow_build_log(training: Training, id: str) -> Iterator[Written]:
    """Yield what the experiment's builds write until it ends."""
    log = BuildLog(training.engines.jenkins, id)
    for lines in log.until_end():
        yield log.experiment, "".join(f"{clean(line)}\n" for line in lines).encode()
        _pause()


def _follow_log_file(training: Training, id: str) -> Iterator[Written]:
    """Yield what is written until the experiment ends, of each attempt."""
    file: BinaryIO | None = None
    path = training.folder.log_file(id)
    seen = 0
    try:
        while True:
            kept = training.experiments.local.read(id)  # before the file, which has all of its end then
            if file is None or _is_another(path, file):
                if file is not None:
                    yield None, file.read()
                    file.close()
                file, seen = (path.open("rb"), 0) if path.exists() else (None, seen)
            content = file.read() if file is not None else b""
            seen += len(content)
            yield kept.experiment if kept is not None else None, content
            if kept is None or _is_over(training, kept.experiment):
                if file is None and kept is not None:
                    yield None, _unseen(training, kept, seen)
                return
            _pause()
    finally:
        if file is not None:
            file.close()


def _pause() -> None:
    """Wait a moment.

    Raises:
        BrokenPipeError: nobody reads standard output any more.
    """
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)  # errors alone
    if output.poll(_POLL * 1000):
        raise BrokenPipeError


def _is_another(path: Path, file: BinaryIO) -> bool:
    try:
        return path.stat().st_ino != os.fstat(file.fileno()).st_ino
    except OSError:  # removed at its end: what is open can still be read
        return False


def _is_over(training: Training, experiment: Experiment) -> bool:
    return training.engines.effective_state(experiment) in (*ENDED, State.LOST)


def _unseen(training: Training, kept: StoredExperiment, seen: int) -> bytes:
    """Return the log that is kept, for an experiment that began and ended between two looks."""
    return (training.experiments.log(kept) or b"")[seen:]
