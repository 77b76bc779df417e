"""The run, as a list.

A step is not taken when one that it `needs` has failed; what it then leaves is a typed result with the reason.
"""

from __future__ import annotations

import dataclasses
import importlib
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlbutler import record as results
from mlbutler.errors import EXIT_JUDGED, EXIT_OUTSIDE, EXIT_PASSED, Interrupted, MlbutlerError
from mlbutler.record import Outcome, Record, StepResult
from mlbutler.record_file import read, write
from mlbutler.steps.work import Work


@dataclass(frozen=True)
class Step:
    """One line of the table: the step's module is `mlbutler.steps.<name>`.

    `needs`: steps that must not have failed before it. `title`: what a reader of the log sees.
    """

    name: str
    title: str
    result: type[StepResult]
    needs: tuple[str, ...] = ()

    def call(self) -> Callable[[Work], StepResult]:
        """The step's function; its module is imported only now."""
        function: Callable[[Work], StepResult] = importlib.import_module(f"mlbutler.steps.{self.name}").run
        return function


STEPS: tuple[Step, ...] = (
    Step("test", "test: the project's tests", results.TestResult),
    Step("lint", "lint: the project's linters", results.LintResult),
    Step("plan", "plan: which stages are stale", results.PlanResult),
    Step("sync", "sync: bring the data they need", results.SyncResult, needs=("test", "lint", "plan")),
    Step("check", "check: dvc.lock, and what is on the remote", results.CheckResult, needs=("plan",)),
    Step(
        "reproduce",
        "reproduce: run what is stale",
        results.ReproduceResult,
        needs=("test", "lint", "plan", "sync"),
    ),
    Step(
        "push",
        "push: results to the remote and the mirror",
        results.PushResult,
        needs=("test", "lint", "plan", "sync"),
    ),
    Step("compare", "compare: with the target branch", results.CompareResult, needs=("reproduce",)),
    Step(
        "commit",
        "commit: results onto the branch",
        results.CommitResult,
        needs=("test", "lint", "plan", "sync", "reproduce", "push"),
    ),
    Step("report", "report", results.ReportResult),
    Step("publish", "publish: tell the reviewers", results.PublishResult),
)

NAMES = tuple(step.name for step in STEPS)


def run_all(work: Work, only: Collection[str] = (), skip: Collection[str] = ()) -> int:
    """Take every step in order; the record is written after each.

    Args:
        only: take these alone. skip: leave these out.

    Returns:
        the exit code.

    Raises:
        Interrupted: the record so far is saved.
    """
    work.pipeline = True
    code = EXIT_PASSED
    for step in STEPS:
        if (only and step.name not in only) or step.name in skip:
            take(work, step, reason="left out on the command line")
            continue
        code = max(code, take(work, step, reason=_blocked(work.record, step)), key=_weight)
    return code


def run_one(work: Work, name: str, call: Callable[[Work], StepResult] | None = None) -> int:
    """Take one step alone, as its verb does; `call` replaces the step's function to pass options."""
    return take(work, _step(name), call=call)


def leave(work: Work, name: str, reason: str) -> int:
    """Record that a step was not taken, and say so: its verb was called. Returns the exit code."""
    work.console.line(f"{name}: {reason}")
    return take(work, _step(name), reason=reason)


def blocked(record: Record, name: str) -> str:
    """Why the step cannot be taken after those that the record holds, '' when it can."""
    return _blocked(record, _step(name))


def _step(name: str) -> Step:
    return next(step for step in STEPS if step.name == name)


def take(work: Work, step: Step, *, reason: str = "", call: Callable[[Work], StepResult] | None = None) -> int:
    """Take `step`, or with a `reason` record that it was not taken. Returns the exit code it asks for."""
    started, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    code = EXIT_PASSED
    if reason:
        result: StepResult = step.result(outcome=Outcome.SKIPPED, reason=reason)
    else:
        work.console.heading(step.title)
        try:
            result = (call or step.call())(work)
        except Interrupted as stop:
            partial = stop.partial or step.result(outcome=Outcome.ERROR, reason=stop.message)
            _keep(work, step, partial, started, clock)
            raise
        except MlbutlerError as error:
            result = error.partial or step.result(outcome=Outcome.ERROR, reason=error.message)
            result = dataclasses.replace(result, remedy=error.remedy)
            code = error.exit_code
    result = _keep(work, step, result, started, clock)
    if result.outcome is Outcome.FAILED:
        code = EXIT_JUDGED
    elif result.outcome is Outcome.ERROR and code == EXIT_PASSED:
        code = EXIT_OUTSIDE
    return code


def _keep(work: Work, step: Step, result: StepResult, started: str, clock: float) -> StepResult:
    result = dataclasses.replace(result, started=started, duration=round(time.monotonic() - clock, 3))
    changes: dict[str, Any] = {step.name: result}
    with work.record_lock():
        if work.beside and (now := read(record_path(work))) and now.change.same_work(work.record.change):
            work.record = now
        work.record = dataclasses.replace(work.record, **changes)
        write(record_path(work), work.record, work.console.redactor)
    show(work, step.name, result)
    return result


def record_path(work: Work) -> Any:
    """Where the record lies."""
    return work.root / ".mlbutler" / "record.json"


def show(work: Work, name: str, result: StepResult) -> None:
    """One line on screen for a finished step, with the remedy where there is one."""
    line = f"{name}: {result.outcome}: {result.reason}"
    if result.outcome in (Outcome.FAILED, Outcome.ERROR):
        work.console.error(line + (f"\n  {result.remedy}" if result.remedy else ""))
    elif result.outcome is Outcome.SKIPPED:
        work.console.detail(line)
    else:
        work.console.line(line)


def _blocked(record: Record, step: Step) -> str:
    for name in step.needs:
        before: StepResult | None = getattr(record, name)
        if before is not None and before.outcome in (Outcome.FAILED, Outcome.ERROR):
            return f"not taken: {name} {'failed' if before.outcome is Outcome.FAILED else 'could not be done'}"
    return ""


def _weight(code: int) -> int:
    """Which exit code wins when several steps ask for one: what a retry may mend outweighs a judgement."""
    return {EXIT_PASSED: 0, EXIT_JUDGED: 1, EXIT_OUTSIDE: 2}.get(code, 3)
