"""The test step: the project's own test commands, and what their JUnit files say."""

from __future__ import annotations

import dataclasses
import time

from mlbutler import junit_file
from mlbutler.record import Outcome, TestResult
from mlbutler.steps.context import RunContext
from mlbutler.steps.project_commands import failure, run_commands


def run(context: RunContext) -> TestResult:
    """Run ``test.command`` in order, all of them, and count ``test.junit``.

    Raises:
        Interrupted: a signal asked mlbutler to stop; the commands have ended.
    """
    settings = context.settings.test
    if not settings.command:
        return TestResult(
            outcome=Outcome.SKIPPED,
            reason="not configured",
            remedy="Set command under [test] in mlbutler.toml, such as command = 'pytest'.",
        )
    since = time.time()
    ran = run_commands(context, settings.command, settings.timeout)
    redactor, bad_runs = ran.redactor, ran.bad
    counts = junit_file.count(context.root, settings.junit, since)
    parts = [failure(done, settings.timeout) for done in bad_runs]
    if not bad_runs:
        parts.append("the test command passed" if len(ran.runs) == 1 else f"all {len(ran.runs)} test commands passed")
    if counts.files:
        parts.insert(0, _format_counts(counts))
    if settings.junit and not counts.files:
        why = "" if counts.problems else ": no JUnit file was written"
        parts.append(f"the number of tests is unknown{why}")
    parts += counts.problems
    failed = bool(bad_runs) or counts.bad > 0
    result = TestResult(
        outcome=Outcome.FAILED if failed else Outcome.PASSED,
        reason=redactor.hide("; ".join(parts)),
        remedy=f"Fix the tests, or the command under [test] in mlbutler.toml. {ran.hint}".strip() if failed else "",
        runs=ran.runs,
        held_back=ran.held_back,
        isolation=ran.isolation,
    )
    if not counts.files:
        return result
    return dataclasses.replace(
        result,
        tests=counts.tests,
        failures=counts.failures,
        errors=counts.errors,
        skipped=counts.skipped,
        failed_cases=tuple(
            dataclasses.replace(
                case,
                suite=redactor.hide(case.suite),
                name=redactor.hide(case.name),
                message=redactor.hide(case.message),
            )
            for case in counts.failed
        ),
    )


def _format_counts(counts: junit_file.Counts) -> str:
    skipped = f", {counts.skipped} skipped" if counts.skipped else ""
    tests = "1 test" if counts.tests == 1 else f"{counts.tests} tests"
    if counts.bad:
        return f"{counts.bad} of {tests} failed{skipped}"
    return f"{tests}, none failed{skipped}"
