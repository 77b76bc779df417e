"""Run the stale stages of a plan through DVC, one after the other, and report what happened to each."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlbutler.console import human_seconds
from mlbutler.errors import BusyError, OutsideError, ProjectError
from mlbutler.frozen import frozen_by_name
from mlbutler.git import Git
from mlbutler.isolation import VisiblePaths
from mlbutler.process import Ended, Grace, explain_exit
from mlbutler.record import StagePlan, StageRun, StageState
from mlbutler.reproduce.backup import OutputBackup
from mlbutler.reproduce.cause import sentence
from mlbutler.reproduce.link import WorkerGone, WorkerLink
from mlbutler.reproduce.rwlock import repair_rwlock
from mlbutler.secrets import Redactor


@frozen_by_name
class Surroundings:
    """The environment of the stages, and the callbacks.

    Attributes:
        environ: their whole environment: no credentials.
        heading: takes the title of each stage before it starts. on_line: takes each line they print.
        refused: says why a stage must not run, '' when it may.
        started, ended: called before each stage with its name, and afterwards with what became of it.
        stopped: called with a stage whose end is not known.
        finished: called with each stage that has made its outputs.
        runs: what the worker knows of DVC's run cache while one stage runs (`BuildRuns.worker_view`); None: the
            clone's own counts.
        made: takes what DVC added to it.
        bring: takes paths of recorded artifacts and puts into the work tree those that can be had.
        isolation: what stands before each stage's command (`mlbutler.isolation`).
        visible: what that lets it see; None: all.
        force: run each command whether anything changed or not, and ask no run cache.
        timeout: seconds for all stages together. lock_timeout: seconds to wait for another DVC process.
    """

    root: Path
    git: Git
    environ: Mapping[str, str]
    redactor: Redactor
    heading: Callable[[str], None]
    on_line: Callable[[str], None]
    refused: Callable[[str], str] = lambda name: ""
    started: Callable[[str], object] = lambda name: None
    stopped: Callable[[str], object] = lambda name: None
    ended: Callable[[StageRun], object] = lambda run: None
    finished: Callable[[StageRun], None] = lambda run: None
    runs: Callable[[], AbstractContextManager[Mapping[str, Any] | None]] = nullcontext
    made: Callable[[Mapping[str, str]], None] = lambda entries: None
    bring: Callable[[Sequence[str]], None] = lambda paths: None
    isolation: Sequence[str] = ()
    visible: VisiblePaths | None = None
    force: bool = False
    timeout: float | None = None
    lock_timeout: float = 30.0
    grace: Grace | None = None


@dataclass
class Reproduction:
    """What happened so far; filled while stages run, so that an interruption loses nothing of it.

    Attributes:
        runs: stage name -> result, in the order of the plan. problems: sentences on failed stages.
        put_back: paths of outputs kept in Git that were restored after a failure.
        changed: stages that ran and made other outputs than dvc.lock had. interrupted: we were asked to stop.
        moved: inputs of stages that changed while these ran: what they made is recorded nowhere.
    """

    runs: dict[str, StageRun] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    put_back: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    timed_out: bool = False
    interrupted: bool = False


class Runner:
    """One reproduction.

    Args:
        plan: all planned stages in runnable order; those that are up to date or frozen are left alone.
        failed: names of stages that failed on another agent: they are not run again, nor what stands on them.
    """

    def __init__(self, plan: Sequence[StagePlan], surroundings: Surroundings, failed: Collection[str] = ()) -> None:
        self._plan, self._here, self._failed = plan, surroundings, failed
        self._stale = [s for s in plan if s.state in (StageState.STALE, StageState.RESTORABLE)]
        self._link: WorkerLink | None = None
        self._known: dict[str, dict[str, Any]] = {}
        self._backup = OutputBackup(surroundings.root, surroundings.root / ".mlbutler")
        self._deadline = None if surroundings.timeout is None else time.monotonic() + surroundings.timeout
        self.result = Reproduction()

    def run(self) -> Reproduction:
        """Run what is stale. A failed stage stops what depends on it, and nothing else.

        Raises:
            BusyError: another DVC process holds the repository's lock. ProjectError: DVC cannot read the
                project. OutsideError: the worker cannot be started. `result` then holds what was done before.
        """
        result = self.result
        for stage in self._plan:
            result.runs[stage.name] = result_of_unrun_stage(stage)
        self._backup.restore_missing()
        try:
            self._known = self._graph()
            failed = self._note_failed_elsewhere()
            for number, stage in enumerate(self._stale, 1):
                if stage.name in failed or failed & set(self._known[stage.name]["upstream"]):
                    continue
                because = sentence(stage.causes)
                heading = f"stage {stage.name} ({number} of {len(self._stale)})"
                self._run_and_notify(stage, heading + (f": because {because}" if because else ""))
                failed |= {name for name, one in result.runs.items() if one.outcome == "failed"}
        except WorkerGone as gone:
            result.timed_out = gone.why is Ended.TIMED_OUT
            result.interrupted = gone.why is Ended.INTERRUPTED
            if gone.why is Ended.EXITED:
                raise OutsideError(
                    f"The process that runs the stages ended ({explain_exit(gone.exit_code)}).",
                    "Check the agent's memory and disk, then run again.",
                ) from gone
        finally:
            self._close()
        return result

    def _note_failed_elsewhere(self) -> set[str]:
        names = [stage.name for stage in self._stale if stage.name in self._failed]
        for name in names:
            self.result.runs[name] = StageRun(name=name, outcome="failed", cause="on another agent: see its log")
            self.result.problems.append(f"stage '{name}' failed on another agent")
        return set(names)

    # ------------------------------------------------------------------------------------- one stage

    def _run_and_notify(self, stage: StagePlan, heading: str, *, needed: bool = False) -> None:
        """Bring one stage up to date as `_one` does, and call the callbacks."""
        self._here.heading(heading)
        if why := self._here.refused(stage.name):
            self.result.problems.append(f"stage '{stage.name}' was not run: {why}")
            self.result.runs[stage.name] = StageRun(name=stage.name, outcome="failed", cause=sentence(stage.causes))
            return
        self._here.started(stage.name)
        try:
            run = self._one(stage, needed=needed)
        except BaseException:
            self._here.stopped(stage.name)
            raise
        self.result.runs[stage.name] = run
        self._here.ended(run)
        if run.outcome != "failed":
            self._here.finished(run)

    def _one(self, stage: StagePlan, *, needed: bool = False, may_lack: bool = True) -> StageRun:
        """Bring one stage up to date.

        Args:
            needed: its outputs have to be here afterwards, changed or not.
            may_lack: what it reads and is not here may be supplied first.
        """
        missing_before = self._missing()
        self._backup.backup(self._known[stage.name]["unkept"])
        started = time.monotonic()
        cause = sentence(stage.causes)
        # A stage that is stale of itself is; one that only stands on a stale one may turn out not to be.
        strict = needed or any(cause.kind != "upstream" for cause in stage.causes) or not stage.causes
        visible = self._here.visible
        command = {"do": "stage", "name": stage.name, "strict": strict, "may_lack": may_lack,
                   "force": self._here.force,
                   "isolation": list(self._here.isolation), "lock_timeout": self._here.lock_timeout,
                   "visible": None if visible is None else [visible.covered, visible.kept]}  # fmt: skip
        try:
            with self._here.runs() as runs:
                events = self._ask({**command, "runs": runs})
        except WorkerGone as gone:
            self._undo(missing_before)
            outcome = "interrupted" if gone.why is Ended.INTERRUPTED else "failed"
            run = StageRun(
                name=stage.name, outcome=outcome, duration=time.monotonic() - started, cause=cause,
                exit_code=gone.exit_code if gone.why is Ended.EXITED else None, tail=self._tail(),
            )  # fmt: skip
            self.result.runs[stage.name] = run
            if gone.why is not Ended.EXITED:
                why = f"timed out after {human_seconds(self._here.timeout or 0)}"
                self._problem(stage.name, why if gone.why is Ended.TIMED_OUT else "interrupted")
                raise
            self._problem(stage.name, explain_exit(gone.exit_code))
            self._close()  # the next stage gets a new worker
            return run
        except BaseException:
            self._undo(missing_before)
            raise
        lacking = next((event["lacking"] for event in events if event.get("outcome") == "lacking"), None)
        if lacking is not None:
            self._backup.discard()  # nothing was touched
            self._supply(stage.name, lacking)
            return self._one(stage, needed=needed, may_lack=False)
        return self._judge(stage, cause, events, missing_before)

    def _supply(self, name: str, lacking: Mapping[str, str]) -> None:
        """Fetch an input that turned out not to have changed instead of making it again; make it where that fails.

        Args:
            name: the stage that needs it. lacking: path -> name of the stage that makes it.

        Raises:
            WorkerGone: we were asked to stop.
        """
        unchanged = {stage.name: stage for stage in self._stale if self.result.runs[stage.name].outcome == "unchanged"}
        paths = [path for path, maker in lacking.items() if maker in unchanged]
        if paths:
            self._close()  # while there is a worker, a signal waits for it, and this may take long
            try:
                self._here.bring(paths)
            except KeyboardInterrupt as stop:
                self._problem(name, "interrupted")
                raise WorkerGone(Ended.INTERRUPTED, None) from stop
        for maker in dict.fromkeys(lacking[path] for path in paths if not (self._here.root / path).exists()):
            self._run_and_notify(
                unchanged[maker], f"stage {maker}: because what it makes is needed and in no store", needed=True
            )

    def _judge(
        self, stage: StagePlan, cause: str, events: Sequence[dict[str, Any]], missing_before: Collection[str]
    ) -> StageRun:
        end = events[-1]
        told = next((event for event in events if event["event"] == "outcome"), None)
        if told is None:  # the fork itself was killed, or broke
            told = {"outcome": "failed", "exit_code": end["exit_code"], "message": explain_exit(end["exit_code"])}
        if told["outcome"] in ("failed", "busy"):
            self._undo(missing_before)
        else:
            self._backup.discard()
            self._here.made(told.get("runs") or {})
        if told["outcome"] == "busy":
            raise BusyError(
                f"Another DVC process works in this clone: {self._hide(told['message'])}",
                "Wait until it has ended, or end it, and run again.",
            )
        failed = told["outcome"] == "failed"
        code = told.get("exit_code")
        if failed:
            self._problem(stage.name, explain_exit(code) if code is not None else self._hide(told["message"]))
            self.result.moved += told.get("inputs", ())
        if told.get("changed") and told["outcome"] == "ran":
            self.result.changed.append(stage.name)
        return StageRun(
            name=stage.name, outcome=told["outcome"], duration=end["seconds"], peak_memory=told.get("peak"),
            exit_code=code if failed else (0 if told["outcome"] == "ran" else None), cause=cause,
            tail=self._tail() if failed else (), entry=told.get("entry", ""),
        )  # fmt: skip

    def _problem(self, name: str, why: str) -> None:
        self.result.problems.append(f"stage '{name}' failed: {why}" if why != "interrupted" else f"in stage '{name}'")

    def _undo(self, missing_before: Collection[str]) -> None:
        """Put the failed stage's outputs that Git keeps back as they were before the run.

        A stage that was stopped while DVC wrote its locks has cut them short, and no DVC would run in this clone again.
        """
        repair_rwlock(self._here.root)
        self.result.put_back += self._backup.restore()
        gone = sorted(self._missing() - set(missing_before))
        if gone:
            paths = b"".join(os.fsencode(path) + b"\0" for path in gone)
            self._here.git.run("checkout-index", "--force", "-z", "--stdin", input=paths, check=False)
            self.result.put_back += gone

    def _missing(self) -> set[str]:
        listed = self._here.git.run("ls-files", "--deleted", "-z", check=False).out
        return {os.fsdecode(path) for path in listed.split(b"\0") if path}

    # ------------------------------------------------------------------------------------- the worker

    def _graph(self) -> dict[str, dict[str, Any]]:
        events = self._ask({"do": "graph", "stages": [stage.name for stage in self._stale]})
        error = next((event for event in events if event["event"] == "error"), None)
        if error is not None:
            message = self._hide(error["message"])
            if error["kind"] == "busy":
                raise BusyError(f"Another DVC process works in this clone: {message}", "Wait until it has ended.")
            if error["kind"] == "outside":
                raise OutsideError(f"The DVC project could not be read: {message}", "Check the disk; run again.")
            raise ProjectError(f"DVC cannot read the project: {message}", "Run 'dvc dag' to see what DVC says.")
        graph = {event["name"]: event for event in events if event["event"] == "stage"}
        if len(graph) != len(self._stale):
            raise OutsideError(
                f"DVC ended while it read the project ({explain_exit(events[-1]['exit_code'])}).",
                "Run 'dvc dag' to see what DVC says.",
            )
        return graph

    def _ask(self, command: Mapping[str, Any]) -> list[dict[str, Any]]:
        if new := self._link is None:
            link = WorkerLink(
                self._here.root, environ=self._here.environ, on_line=self._here.on_line,
                redactor=self._here.redactor, grace=self._here.grace,
            )  # fmt: skip
            self._link = link.__enter__()
        try:
            if new:
                self._link.wait_until_ready(self._deadline)
            events = self._link.ask(command, self._deadline)
        except WorkerGone as gone:
            if gone.why is Ended.EXITED and self._link.is_told_to_stop(gone.exit_code):
                raise WorkerGone(Ended.INTERRUPTED, gone.exit_code) from gone
            raise
        if self._link.is_told_to_stop(_failure(events)):
            raise WorkerGone(Ended.INTERRUPTED, None)
        return events

    def _close(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.__exit__(None, None, None)

    def _tail(self) -> tuple[str, ...]:
        return self._link.tail if self._link is not None else ()

    def _hide(self, text: str) -> str:
        return self._here.redactor.hide(" ".join(text.split()))


def _failure(events: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the exit code of a stage that failed, or of the process that was to run it; None for neither."""
    told = next((event for event in events if event["event"] == "outcome"), None)
    if told is None:
        return int(events[-1].get("exit_code") or 0)
    return (told.get("exit_code") or 1) if told["outcome"] == "failed" else None


def result_of_unrun_stage(stage: StagePlan) -> StageRun:
    """Return the result of a stage that was not run: nothing had to be done, or it was not reached."""
    settled = stage.state in (StageState.UP_TO_DATE, StageState.FROZEN)
    cause = "frozen" if stage.state is StageState.FROZEN else sentence(stage.causes)
    return StageRun(name=stage.name, outcome="unchanged" if settled else "not reached", cause=cause)


def command_to_repeat(name: str) -> str:
    """Return the command that runs one stage by hand."""
    return f"dvc repro --single-item {shlex.quote(name)}"
