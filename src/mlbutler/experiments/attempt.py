"""Run the stages of one attempt, where the project's code runs, and watch them until they end or are to end.

It needs no credential. What comes before (a work tree with the data) and after (keeping the results) differs from one
engine to the other, and is theirs.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mlbutler.console import human_seconds
from mlbutler.experiments import log_progress
from mlbutler.experiments.attempt_end import CANCELLED, AttemptEnd, end_from_record, stage_notes
from mlbutler.experiments.declared import DeclaredPaths
from mlbutler.experiments.experiment import Experiment, StageNote
from mlbutler.experiments.gpu_lease import NO_GPUS, GpuLease
from mlbutler.experiments.gpus import GpuUtilization, processes_on, read_utilization, unreleased_memory
from mlbutler.experiments.saver import CheckpointSaver
from mlbutler.experiments.shutdown import end_leftovers, end_stage
from mlbutler.experiments.state import State
from mlbutler.experiments.watch import Watch
from mlbutler.frozen import frozen
from mlbutler.process import Ended, Grace, Process, output_redactor
from mlbutler.record_file import latest_record, read_record
from mlbutler.reproduce.progress import load_progress
from mlbutler.variables import CHDIR, EXPERIMENT, IN_RUN

GRACE = 30.0
"""Seconds that a stage has to end when its time is over."""
_POLL = 0.5
_SIGNS_FIRST, _SIGNS = 2.0, 5.0
"""Seconds until a line says how far it is, and between two of them."""
_SETTLED = 3.0
"""Seconds until what the stages declare is looked up."""
_LAST_PART = 0.1


class Stopped(Exception):
    """Raised when this process was asked to stop: another attempt runs the experiment."""


@frozen
class AttemptContext:
    """What an attempt needs: where its stages run, and what is called as they do.

    Attributes:
        folder: below which nothing but this experiment runs. root: the project's root in there.
        words: of the mlbutler command that runs the stages. environ: of that command.
        stop: returns the seconds that the stage has to end, once the experiment is to be cancelled; None before.
        line: takes each line that the command prints, credentials hidden.
        declared: returns what the stages declare.
        lease: the GPUs that the experiment was given.
        stall: seconds without a sign of life after which it is stalled, None for never.
        stalled: takes for how long nothing has happened when it stalls, and None when it goes on.
        log_progress: takes a line of its log that says how far it is, when that has changed; None for `line`.
        saver: returns what keeps its checkpoints, given the paths that DVC leaves in place; None for none.
        nearly_over: is called once, with the seconds that are left, when a tenth of the time that it may take is left.
    """

    folder: Path
    root: Path
    words: Sequence[str]
    environ: Mapping[str, str]
    stop: Callable[[], float | None]
    line: Callable[[str], None]
    declared: Callable[[], DeclaredPaths]
    lease: GpuLease = NO_GPUS
    stall: float | None = None
    stalled: Callable[[float | None], None] = lambda seconds: None
    log_progress: Callable[[str], None] | None = None
    saver: Callable[[Callable[[], Sequence[str]]], CheckpointSaver] | None = None
    nearly_over: Callable[[float], None] = lambda left: None


class Attempt:
    """Run the stages of one experiment."""

    def __init__(self, experiment: Experiment, context: AttemptContext) -> None:
        self._experiment, self._context = experiment, context
        self._ended_by_us: AttemptEnd | None = None
        self._running = ""
        self._began = time.monotonic()
        self._watch = Watch(
            context.stall, context.lease.gpus, lambda: read_utilization(context.environ), context.root,
            lambda: self._declared_paths().metrics, context.line,
        )  # fmt: skip
        self._saver = context.saver(lambda: self._declared_paths().persisted) if context.saver is not None else None
        self._found: DeclaredPaths | None = None
        self._silent: float | None = None
        self._progress, self._progress_due = "", time.monotonic() + _SIGNS_FIRST

    def _declared_paths(self) -> DeclaredPaths:
        """Return what the stages declare; short runs are not kept waiting for that."""
        if self._found is None and time.monotonic() > self._began + _SETTLED:
            self._found = self._context.declared()
        return self._found or DeclaredPaths()

    def _line(self, text: str) -> None:
        self._watch.note_output()
        self._context.line(text)

    def _observe(self, pid: int) -> None:
        """Check on an experiment that runs: has it stalled, what are its metrics, is a checkpoint due."""
        silent = self._watch.poll()
        if (silent is None) != (self._silent is None):
            said = "It goes on." if silent is None else f"Nothing has happened for {human_seconds(silent)}: stalled."
            self._context.line(said)
            self._context.stalled(silent)
        self._silent = silent
        if time.monotonic() > self._progress_due:
            self._progress_due = time.monotonic() + _SIGNS
            self._log_progress()
        if self._saver is not None:
            self._saver.poll(pid)

    def _log_progress(self) -> None:
        """Write into the log how far it is, where that has changed."""
        text = log_progress.progress_line(log_progress.current_stage(self._context.root), self._watch.metrics)
        if text not in ("", self._progress):
            self._progress = text
            (self._context.log_progress or self._context.line)(text)

    def run(self) -> AttemptEnd:
        """Run them to their end, and return what became of them.

        Raises:
            Stopped: this process was asked to stop; nothing of the experiment runs any more.
        """
        context = self._context
        command = [sys.executable, "-P", "-m", "mlbutler", *context.words, "-C", os.fspath(context.root)]
        before = read_utilization(context.environ) if context.lease.gpus else {}
        with Process(
            command, cwd=context.root, environ={**context.environ, **context.lease.environment()}, on_line=self._line,
            redactor=output_redactor(context.environ), grace=Grace(interrupt=GRACE), pass_fds=context.lease.fds,
        ) as process:  # fmt: skip
            self._follow(process)
        if self._saver is not None:
            self._saver.close()
        record = read_record(latest_record(context.root))
        if self._ended_by_us is not None:
            return self._with_leftovers(
                self._ended_by_us, stage_notes(record, context.root), self._release_gpu_memory(before)
            )
        end = end_from_record(record, process.exit_code, process.tail)
        for text in (*end.last_lines(), *self._release_gpu_memory(before)):
            context.line(text)
        return end

    def _release_gpu_memory(self, before: Mapping[str, GpuUtilization]) -> tuple[str, ...]:
        """End what still holds memory of its GPUs, and return whether that was released."""
        context, gpus = self._context, self._context.lease.gpus
        if not gpus:
            return ()
        if processes_on(context.environ, gpus):
            end_leftovers(self._experiment.id, context.folder)
        return unreleased_memory(context.environ, gpus, before) or ("no process of it holds GPU memory",)

    def _follow(self, process: Process) -> None:
        """Pass its output on until it ends, or is to be ended."""
        limit = self._experiment.time_limit
        time_left, warned = TimeLeft(limit, self._context.root), False
        while (ended := process.pump(deadline=time.monotonic() + _POLL)) is Ended.TIMED_OUT:
            self._observe(process.pid)
            if (grace := self._context.stop()) is not None:
                self._end(process, CANCELLED, grace)
                return
            left = time_left()
            if limit is not None and not warned and left <= limit * _LAST_PART:
                warned = True
                self._context.nearly_over(max(left, 0.0))
            if limit is not None and left <= 0:
                self._end(process, AttemptEnd(State.TIMED_OUT, f"its time of {human_seconds(limit)} was over",
                                       "Give it more: submit it again with a longer --time."), GRACE)  # fmt: skip
                return
        if ended is Ended.INTERRUPTED:
            self._end_stage(process, GRACE)
            raise Stopped

    def _end(self, process: Process, end: AttemptEnd, grace: float) -> None:
        self._ended_by_us = end
        now = load_progress(self._context.root)
        self._running = now.running if now is not None else ""
        self._end_stage(process, grace)

    def _end_stage(self, process: Process, grace: float) -> None:
        asked = time.time()
        by_itself = end_stage(process.pid, grace, lambda seconds: _pass_on(process, seconds))
        if self._saver is not None:
            self._saver.save_last(asked, by_itself=by_itself)

    def _with_leftovers(self, end: AttemptEnd, done: tuple[StageNote, ...], gpus: tuple[str, ...]) -> AttemptEnd:
        """Return the end with the stages that had been finished, and whether something still runs."""
        left = end_leftovers(self._experiment.id, self._context.folder)
        kept = f"finished and kept: {', '.join(stage.name for stage in done)}" if done else ""
        rest = f"{left} of its processes could not be ended" if left else "none of its processes is left"
        stage = f"stage '{self._running}' was ended" if self._running else ""
        reason = "; ".join(filter(None, (end.reason, stage, kept, rest, *gpus)))
        return dataclasses.replace(end, reason=reason, stages=done)


class TimeLeft:
    """The time that the stages may still take: what comes before the first one does not count.

    Args:
        limit: seconds, None for no limit. root: the project's root in the clone.
    """

    def __init__(self, limit: float | None, root: Path) -> None:
        self._limit, self._root, self._until = limit, root, math.inf

    def __call__(self) -> float:
        """Return how many seconds are left, infinity before the first stage."""
        if self._limit is not None and self._until == math.inf and self._has_begun():
            self._until = time.monotonic() + self._limit
        return self._until - time.monotonic()

    def _has_begun(self) -> bool:
        now = load_progress(self._root)
        return now is not None and bool(now.running or now.done)


def run_environment(experiment: Experiment, environ: Mapping[str, str], mirror: Path | None) -> dict[str, str]:
    """Return the environment of the command that runs the stages: ours, without what is meant for other verbs."""
    kept = {name: value for name, value in environ.items()
            if not name.startswith(("MLBUTLER_RUN_", "MLBUTLER_TRAIN_")) and name not in (CHDIR, IN_RUN)}  # fmt: skip
    own = {EXPERIMENT: experiment.id}
    if experiment.targets:
        own["MLBUTLER_REPRODUCE_TARGETS"] = json.dumps(list(experiment.targets))
    if mirror is not None:
        own["MLBUTLER_DATA_MIRROR"] = os.fspath(mirror)
    return kept | own


def _pass_on(process: Process, seconds: float) -> None:
    process.pump(deadline=time.monotonic() + seconds)
