"""The lint step: the project's own linters."""

from __future__ import annotations

from typing import Any

from mlbutler.record import LintResult, Outcome
from mlbutler.steps.context import RunContext
from mlbutler.steps.project_commands import failure, run_commands


def run(context: RunContext) -> LintResult:
    """Run all of ``lint.commands``; one that fails fails the step.

    Raises:
        Interrupted: a signal asked mlbutler to stop; the commands have ended.
    """
    settings = context.settings.lint
    if not settings.commands:
        return LintResult(
            outcome=Outcome.SKIPPED,
            reason="not configured",
            remedy="Set commands under [lint] in mlbutler.toml, such as commands = ['ruff check'].",
        )
    ran = run_commands(context, settings.commands, settings.timeout)
    told: dict[str, Any] = {"runs": ran.runs, "held_back": ran.held_back, "isolation": ran.isolation}
    if bad := ran.bad:
        return LintResult(
            outcome=Outcome.FAILED,
            reason=ran.redactor.hide("; ".join(failure(done, settings.timeout) for done in bad)),
            remedy=f"Fix what the linter names, or the commands under [lint] in mlbutler.toml. {ran.hint}".strip(),
            **told,
        )
    passed = "the linter passed" if len(ran.runs) == 1 else f"all {len(ran.runs)} linters passed"
    return LintResult(outcome=Outcome.PASSED, reason=passed, **told)
