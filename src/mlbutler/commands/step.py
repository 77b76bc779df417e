"""Run one step as a verb: `mlbutler plan`, `mlbutler sync --all`, `mlbutler check pushed`..."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from mlbutler.commands.clone_lock import SIDE_BY_SIDE
from mlbutler.commands.start import begin
from mlbutler.console import Console
from mlbutler.pipeline import blocking_reason, resume, run_step, skip_step
from mlbutler.record import REPORTING_STEPS, Outcome, Record, StepResult
from mlbutler.record_file import dumps
from mlbutler.secrets import has_credentials
from mlbutler.steps.context import RunContext, StepOptions

_NEED_PLAN = ("sync", "check", "reproduce")
# Nothing in these needs a credential; where a CI server gives them none, what the run began with still holds. With one
# they find out again what the change is: the project's code can write the record.
_OFFLINE = ("test", "lint", "reproduce", "compare", "report")
# These run the project's code, which is given no credential, whatever this process has.
_RUN = ("test", "lint", "reproduce")


def step(
    directory: Path,
    console: Console,
    name: str,
    options: StepOptions | None = None,
    *,
    targets: Sequence[str] = (),
    call: Callable[[RunContext], StepResult] | None = None,
    environ: Mapping[str, str] | None = None,
) -> int:
    """Run the step `name` on the checkout at `directory`; return the exit code.

    Args:
        options: what was asked of it; as part of a run it judges and refuses as `mlbutler run` does: what a later step
            fixes is pending, and it is not run when one that it needs failed.
        targets: stages to restrict plan, sync and reproduce to. call: the step's function with arguments of its own.
        environ: in place of this process' environment.

    Raises:
        UsageError: `report` or `publish` finds the record of another run, or as `begin`.
    """
    options = options or StepOptions()
    in_run, against = options.pipeline, options.compared_with or None
    beside = name if name in SIDE_BY_SIDE else ""
    environ = os.environ if environ is None else environ
    offline, telling = name in _OFFLINE and (name in _RUN or not has_credentials(environ)), name in REPORTING_STEPS
    with begin(
        directory, console, against, offline=offline, beside=beside, telling=telling, environ=environ
    ) as context:
        context.options = options
        if in_run:
            resume(context)
        if targets:
            reproduce = msgspec.structs.replace(context.settings.reproduce, targets=tuple(targets))
            settings = msgspec.structs.replace(context.settings, reproduce=reproduce)
            context.loaded = dataclasses.replace(context.loaded, settings=settings)
        if in_run and (reason := blocking_reason(context.record, name)):
            code = skip_step(context, name, reason)
            return _finish(context.record, console, name, code)
        if name in _NEED_PLAN:  # what was planned in an earlier process may no longer hold
            code = run_step(context, "plan")
            if code and not _has_partial_plan(context.record):
                return _finish(context.record, console, "plan", code)
        code = run_step(context, name, call)
        return _finish(context.record, console, name, code)


def _has_partial_plan(record: Record) -> bool:
    """Return whether there is a plan to go by, though not of every stage.

    The step says itself what it could not do.
    """
    return record.plan is not None and record.plan.outcome in (Outcome.FAILED, Outcome.NOT_KNOWN)


def _finish(record: Record, console: Console, name: str, code: int) -> int:
    if console.json:
        document = json.loads(dumps(record, console.redactor))
        print(json.dumps({"step": name, "exit_code": code, "result": document[name]}, indent=2, ensure_ascii=False))
    return code
