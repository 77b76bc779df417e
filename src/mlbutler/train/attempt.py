"""One attempt at an experiment on this machine: a clone of its own, `mlbutler run` in it, and what came of it."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlbutler.console import human_seconds
from mlbutler.errors import EXIT_PASSED, MlbutlerError
from mlbutler.git import Git
from mlbutler.process import Ended, Grace, Process, explain_exit, output_redactor, project_environment
from mlbutler.project.project import Project
from mlbutler.record import Outcome, Record, ReproduceResult
from mlbutler.record_file import latest_record, read_record
from mlbutler.reproduce.scratch import configure, make_clone
from mlbutler.secrets import Redactor
from mlbutler.settings import Settings
from mlbutler.train import results
from mlbutler.train.ending import end_leftovers, end_stage
from mlbutler.train.experiment import Experiment, Measure, StageNote
from mlbutler.train.log import Log
from mlbutler.train.measures import measures
from mlbutler.train.place import Place
from mlbutler.train.refs import Experiments, Kept
from mlbutler.train.state import State
from mlbutler.variables import CHDIR, EXPERIMENT

GRACE = 30.0
"""Seconds that a stage has to end when its time is over."""
_POLL = 0.5
_STEPS = ("plan", "sync", "reproduce")
# Against itself: a target branch that the settings name need not be in the clone.
_RUN = ("run", "--only", ",".join(_STEPS), "--no-publish", "--discard", "--against", "HEAD")
_TAIL = 20
_WELL = (Outcome.PASSED, Outcome.SKIPPED)


@dataclass(frozen=True)
class End:
    """How an attempt ended, as fields of the experiment."""

    state: State
    reason: str
    remedy: str = ""
    tail: tuple[str, ...] = ()
    stages: tuple[StageNote, ...] = ()
    result: str = ""
    metrics: tuple[Measure, ...] = ()

    def on(self, experiment: Experiment) -> Experiment:
        """Return the experiment with this end."""
        return experiment.with_(
            state=self.state, reason=self.reason, remedy=self.remedy, tail=self.tail, stages=self.stages,
            result=self.result, metrics=self.metrics, ended=time.time(),
        )  # fmt: skip

    def hidden(self, redactor: Redactor) -> End:
        """Return the same end without credentials: it is kept."""
        hide = redactor.hide
        tail = tuple(map(hide, self.tail))
        return dataclasses.replace(self, reason=hide(self.reason), remedy=hide(self.remedy), tail=tail)


_CANCELLED = End(State.CANCELLED, "")


class Stopped(Exception):
    """This process was asked to stop: the experiment is to be taken up again."""


class Attempt:
    """Run one experiment.

    Args:
        git: at the repository's root. settings: the project's, as it was submitted.
        environ: this process' environment, with the credentials of remotes.
    """

    def __init__(
        self, git: Git, experiments: Experiments, place: Place, settings: Settings, environ: Mapping[str, str]
    ) -> None:
        self._git, self._experiments, self._place = git, experiments, place
        self._settings, self._environ = settings, environ
        self._ended_by_us: End | None = None

    def run(self, kept: Kept) -> End:
        """Bring an experiment from preparing to its end; the lock of its name is held meanwhile.

        Raises:
            Stopped: this process was asked to stop; nothing of the experiment runs any more.
        """
        experiment = kept.experiment
        top = self._place.scratch(experiment.id) / "clone"
        with Log(self._place.log(experiment.id)) as log:
            try:
                root = self._prepare(experiment, top)
                if self._grace(experiment) is not None:
                    return _CANCELLED
                return self._run(experiment, top, root, log)
            except MlbutlerError as error:
                log.line(f"error: {error.message}")
                return End(State.NOT_SET_UP, error.message, error.remedy)

    def _prepare(self, experiment: Experiment, top: Path) -> Path:
        main = Project(self._place.root, self._environ)
        environ = project_environment(self._environ)
        root = make_clone(self._git, top, experiment.input, experiment.project, environ)
        configure(root, main.cache_dir, main.remote_directories())
        if remote := self._settings.project.git_remote:  # the project's settings name it, and it must be there
            Git(top, environ).run("remote", "add", "--", remote, os.fspath(top))
        return root

    def _run(self, experiment: Experiment, top: Path, root: Path, log: Log) -> End:
        self._keep(experiment, State.RUNNING)
        command = [sys.executable, "-P", "-m", "mlbutler", *_RUN, "-C", os.fspath(root)]
        with Process(
            command, cwd=root, environ=self._variables(experiment), on_line=log.line,
            redactor=output_redactor(self._environ), grace=Grace(interrupt=GRACE),
        ) as process:  # fmt: skip
            self._follow(experiment, process)
        if self._ended_by_us is not None:
            left = end_leftovers(experiment.id, self._place.scratch(experiment.id))
            return self._said(self._ended_by_us, root, left)
        end = _judged(read_record(latest_record(root)), process.exit_code, process.tail)
        if end.state is not State.DONE:
            _write_last_lines(log, end)
            return end
        if self._grace(experiment) is not None:
            return _CANCELLED
        self._keep(experiment, State.SAVING)
        project = Project(root, {})
        commit = results.save(self._git, experiment, top, project.stages)
        found = measures(self._git, experiment, root, project.stages)
        return dataclasses.replace(end, result=commit, metrics=found)

    def _follow(self, experiment: Experiment, process: Process) -> None:
        """Pass its output on until it ends, or is to be ended."""
        limit = experiment.time_limit
        until = None if limit is None else time.monotonic() + limit
        while (ended := process.pump(deadline=time.monotonic() + _POLL)) is Ended.TIMED_OUT:
            if (grace := self._grace(experiment)) is not None:
                self._end(process, _CANCELLED, grace)
                return
            if until is not None and limit is not None and time.monotonic() >= until:
                self._end(process, End(State.TIMED_OUT, f"its time of {human_seconds(limit)} was over",
                                       "Give it more: submit it again with a longer --time."), GRACE)  # fmt: skip
                return
        if ended is Ended.INTERRUPTED:
            end_stage(process.pid, GRACE, lambda seconds: _pass_on(process, seconds))
            raise Stopped

    def _end(self, process: Process, end: End, grace: float) -> None:
        self._ended_by_us = end
        end_stage(process.pid, grace, lambda seconds: _pass_on(process, seconds))

    def _said(self, end: End, root: Path, left: int) -> End:
        """Return the end with the stages that had been finished, and whether something still runs."""
        done = _stages(read_record(latest_record(root)), root)
        kept = f"finished and kept: {', '.join(stage.name for stage in done)}" if done else ""
        rest = f"{left} of its processes could not be ended" if left else "none of its processes is left"
        return End(end.state, "; ".join(filter(None, (end.reason, kept, rest))), end.remedy, stages=done)

    def _grace(self, experiment: Experiment) -> float | None:
        """Return how long the stage has to end, once the experiment is to be cancelled; None before."""
        now = self._experiments.read(experiment.id)
        return now.experiment.cancel if now is not None else 0.0

    def _keep(self, experiment: Experiment, state: State) -> None:
        self._experiments.change(experiment.id, lambda now: now.with_(state=state))

    def _variables(self, experiment: Experiment) -> dict[str, str]:
        """Return the environment of `mlbutler run`: ours, without what is meant for other verbs."""
        kept = {name: value for name, value in self._environ.items()
                if not name.startswith(("MLBUTLER_RUN_", "MLBUTLER_TRAIN_")) and name != CHDIR}  # fmt: skip
        own = {EXPERIMENT: experiment.id}
        if experiment.targets:
            own["MLBUTLER_REPRODUCE_TARGETS"] = json.dumps(list(experiment.targets))
        if (mirror := self._settings.data.mirror_path(self._place.root)) is not None:
            own["MLBUTLER_DATA_MIRROR"] = os.fspath(mirror)
        return kept | own


def _write_last_lines(log: Log, end: End) -> None:
    """Write what a failed stage printed last once more: who looks at the log's end looks for that."""
    failed = next((stage.name for stage in end.stages if stage.outcome == "failed"), None)
    if failed is not None and end.tail:
        log.line(f"\n== the last lines of stage {failed}")
        for text in end.tail:
            log.line(text)


def _pass_on(process: Process, seconds: float) -> None:
    process.pump(deadline=time.monotonic() + seconds)


def _judged(record: Record | None, code: int | None, tail: tuple[str, ...]) -> End:
    """Return what the run's record says became of it."""
    tail, stages = tail[-_TAIL:], _stages(record)
    results = [getattr(record, name) for name in _STEPS] if record is not None else []
    bad = next((one for one in results if one is not None and one.outcome not in _WELL), None)
    if code is None or code < 0 or (bad is not None and bad.outcome is Outcome.INTERRUPTED):
        return End(State.LOST, f"mlbutler run was stopped from outside ({explain_exit(code)})")
    done = record.reproduce if record is not None else None
    if isinstance(bad, ReproduceResult) and bad.outcome is Outcome.FAILED:
        last = next((run.tail for run in bad.stages if run.outcome == "failed"), ())
        return End(State.FAILED, bad.reason, tail=tuple(last[-_TAIL:]), stages=stages)
    if bad is not None:
        return End(State.NOT_SET_UP, bad.reason, bad.remedy, tail, stages)
    if done is not None and code == EXIT_PASSED:
        return End(State.DONE, done.reason, stages=stages)
    said = tail[-1] if tail else "it said nothing"
    return End(State.NOT_SET_UP, f"mlbutler run ended with exit code {code}: {said}", tail=tail)


def _stages(record: Record | None, root: Path | None = None) -> tuple[StageNote, ...]:
    """Return the stages that were brought up to date.

    Args:
        root: of a run that was ended, which has left no record of them but its progress.
    """
    from mlbutler.reproduce.progress import left_behind

    runs = record.reproduce.stages if record is not None and record.reproduce is not None else ()
    if not runs and root is not None:
        runs = left_behind(root)
    return tuple(
        StageNote(name=run.name, outcome=run.outcome, seconds=round(run.duration, 3))
        for run in runs
        if run.outcome in ("ran", "restored", "failed") or (root is None and run.outcome == "unchanged")
    )
