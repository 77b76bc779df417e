"""Run the steps of the run, as a list.

`STEPS` says which steps run after another has failed: a step is not run when one that it `needs` has failed; its result
then gives the reason. After an interruption nothing but the reporting follows.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from mlbutler.console import human_seconds
from mlbutler.errors import EXIT_JUDGED, EXIT_OUTSIDE, EXIT_PASSED, Interrupted, MlbutlerError
from mlbutler.record import REPORTING_STEPS, Outcome, Record, StepResult
from mlbutler.record_ended import LEAST
from mlbutler.record_file import read_record, write_record
from mlbutler.record_pending import judge_pending
from mlbutler.run_table import NAMES, STEPS, Step, prevents, run_after
from mlbutler.steps.context import RunContext, StepOptions

__all__ = ["NAMES", "STEPS", "Step", "blocking_reason", "resume", "run_after", "run_all", "run_step", "skip_step"]


_LAST = "commit"
"""Whatever becomes of it, what `check` left to the run is judged after it."""
SKIPPED = "skipped by --only or --skip"
BAD = (Outcome.FAILED, Outcome.ERROR, Outcome.NOT_KNOWN, Outcome.INTERRUPTED)
LEAST_SHOWN = 0.05
"""Seconds that are worth a word."""


def run_all(context: RunContext, only: Collection[str] = (), skip: Collection[str] = ()) -> int:
    """Run every step in order; the record is written after each.

    Args:
        only: run these alone. skip: do not run these.

    Returns:
        the exit code.

    Raises:
        Interrupted: the record so far is saved.
    """
    context.options = dataclasses.replace(context.options, pipeline=True)
    due = tuple(name for name in NAMES if (not only or name in only) and name not in (*skip, *REPORTING_STEPS))
    context.record = dataclasses.replace(context.record, due=due)
    write_record(context.record_path, context.record, context.console.redactor)  # whatever lies there is of another run
    code = EXIT_PASSED
    for step in STEPS:
        if (only and step.name not in only) or step.name in skip:
            _run(context, step, reason=SKIPPED)
            continue
        code = max(code, _run(context, step, reason=_blocking_reason(context.record, step)), key=_weight)
        if step.name in REPORTING_STEPS and judge_pending(context.record) is not None:
            # It was reported as failed: its fix was skipped.
            code = max(code, EXIT_JUDGED, key=_weight)
    return code


def resume(context: RunContext) -> None:
    """Count this process as a part of a run whose steps are separate commands.

    The record notes that with the result of the step that it runs.
    """
    context.options = dataclasses.replace(context.options, pipeline=True)
    context.record = dataclasses.replace(context.record, due=_merge_names(context.record.due, LEAST))


def run_step(context: RunContext, name: str, call: Callable[[RunContext], StepResult] | None = None) -> int:
    """Run one step alone, as its verb does; `call` replaces the step's function to pass options."""
    return _run(context, _step(name), call=call)


def skip_step(context: RunContext, name: str, reason: str) -> int:
    """Record that a step was not run, and say so: its verb was called. Return the exit code."""
    context.console.line(f"{name}: {reason}")
    return _run(context, _step(name), reason=reason)


def blocking_reason(record: Record, name: str) -> str:
    """Return why the step cannot be run after those that the record holds, '' when it can."""
    return _blocking_reason(record, _step(name))


def _step(name: str) -> Step:
    return next(step for step in STEPS if step.name == name)


_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def _title(options: StepOptions, step: Step) -> str:
    """Return what a reader of the log sees of a step: of a comparison with what."""
    other = options.compared_with
    if step.name != "compare" or not other:
        return step.title
    return f"compare: with {f'commit {other[:10]}' if _COMMIT.fullmatch(other) else other}"


def _run(
    context: RunContext, step: Step, *, reason: str = "", call: Callable[[RunContext], StepResult] | None = None
) -> int:
    """Run `step`, or with a `reason` record that it was not run; return the exit code it asks for."""
    started, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    code = EXIT_PASSED
    if reason:
        result: StepResult = step.result(outcome=Outcome.SKIPPED, reason=reason)
    else:
        context.console.step(_title(context.options, step))
        _begin(context, step, started)
        try:
            result = (call or _function(step))(context)
        except (Interrupted, KeyboardInterrupt) as stop:
            partial = stop.partial if isinstance(stop, Interrupted) else None
            partial = partial or step.result(outcome=Outcome.INTERRUPTED, reason="Interrupted.")
            # A step that keeps what it did until an error does not know that this one is no fault.
            _keep(context, step, dataclasses.replace(partial, outcome=Outcome.INTERRUPTED), started, clock)
            raise
        except MlbutlerError as error:
            outcome = Outcome.FAILED if error.exit_code == EXIT_JUDGED else Outcome.ERROR
            result = error.partial or step.result(outcome=outcome, reason=error.message)
            result = dataclasses.replace(result, remedy=error.remedy)
            code = error.exit_code
    if step.name != "plan":  # the next step uses what a plan has just looked at
        context.fingerprints.clear()
    result = _keep(context, step, result, started, clock, began=not reason)
    if step.name == _LAST and reason != SKIPPED and _show_unfixed(context):
        code = code or EXIT_JUDGED
    if result.outcome is Outcome.FAILED:
        code = EXIT_JUDGED
    elif result.outcome in (Outcome.ERROR, Outcome.NOT_KNOWN) and code == EXIT_PASSED:
        code = EXIT_OUTSIDE
    return code


def _keep(
    context: RunContext, step: Step, result: StepResult, started: str, clock: float, *, began: bool = True
) -> StepResult:
    result = dataclasses.replace(result, started=started, duration=round(time.monotonic() - clock, 3))
    context.progress.own_steps.add(step.name)
    changes: dict[str, Any] = {step.name: result}
    with _lock_record(context):
        left = {name: time for name, time in context.record.began.items() if name != step.name}
        context.record = dataclasses.replace(context.record, began=left, **changes)
    show_result(context, step.name, result, began=began)
    return result


def _show_unfixed(context: RunContext) -> bool:
    """Judge again what `check` left as pending, after the last step that could fix it; show what is still wrong."""
    check = judge_pending(context.record)
    if check is None:
        return False
    context.progress.own_steps.add("check")
    with _lock_record(context):
        context.record = dataclasses.replace(context.record, check=check)
    show_result(context, "check", check)
    return True


def _begin(context: RunContext, step: Step, started: str) -> None:
    """Mark in the record that the step began: one that is killed leaves no result. It need not survive a power cut."""
    context.progress.own_steps.add(step.name)
    if step.name not in REPORTING_STEPS:
        with _lock_record(context, durable=False):
            context.record = dataclasses.replace(context.record, began=context.record.began | {step.name: started})


def _function(step: Step) -> Callable[[RunContext], StepResult]:
    """Return the step's function; its module is imported only now.

    It raises an error of `mlbutler.errors` for what fails outside; its own verdict is the result's outcome.
    """
    function: Callable[[RunContext], StepResult] = importlib.import_module(f"mlbutler.steps.{step.name}").run
    return function


@contextmanager
def _lock_record(context: RunContext, *, durable: bool = True) -> Iterator[None]:
    """Lock the record, to change and write it.

    What other processes in this clone wrote of their own steps is taken over.
    """
    from filelock import FileLock

    own_steps = context.progress.own_steps
    with FileLock(context.root / ".mlbutler" / "record.lock"):
        now = read_record(context.record_path)
        if now is not None and now.change.same_work(context.record.change):
            others: dict[str, Any] = {name: getattr(now, name) for name in NAMES if name not in own_steps}
            began = {name: time for name, time in now.began.items() if name not in own_steps}
            began |= {name: time for name, time in context.record.began.items() if name in own_steps}
            due = _merge_names(context.record.due, now.due)
            context.record = dataclasses.replace(context.record, began=began, due=due, **others)
        yield
        write_record(context.record_path, context.record, context.console.redactor, durable=durable)


def _merge_names(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in NAMES if name in one or name in other)


def show_result(context: RunContext, name: str, result: StepResult, *, began: bool = True) -> None:
    """Show one line for a finished step, with how long it took, and the remedy where there is one.

    Args:
        began: the step was run.
    """
    took = f" ({human_seconds(result.duration)})" if result.duration >= LEAST_SHOWN else ""
    line = f"{name}: {result.outcome}: {result.reason.removesuffix('.') if took else result.reason}{took}"
    line += f"\n  {result.remedy}" if result.remedy else ""
    if result.outcome is Outcome.SKIPPED and not began:
        context.console.detail(line)
    else:
        context.console.end_step(line, result.outcome, wrong=result.outcome in BAD)


def _blocking_reason(record: Record, step: Step) -> str:
    if step.name in REPORTING_STEPS:
        return ""
    before: dict[str, StepResult | None] = {name: getattr(record, name) for name in NAMES[: NAMES.index(step.name)]}
    for name, result in before.items():
        if result is not None and result.outcome is Outcome.INTERRUPTED and name not in record.began:
            return f"not run: {name} was interrupted"
        if name in record.began and name in (*step.needs, *step.after):
            return f"not run: {name} did not end"
        if name in step.needs and result is not None and (why := prevents(name, result.outcome)):
            return f"not run: {name} {why}"
    return ""


def _weight(code: int) -> int:
    """Rank the exit codes of several steps: what a retry may fix outweighs a judgement."""
    return {EXIT_PASSED: 0, EXIT_JUDGED: 1, EXIT_OUTSIDE: 2}.get(code, 3)
