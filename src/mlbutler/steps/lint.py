"""The lint step: the project's own linters."""

from __future__ import annotations

from mlbutler.record import LintResult, Outcome
from mlbutler.steps.context import RunContext
from mlbutler.steps.project_commands import failure, run_commands


def run(work: RunContext) -> LintResult:
    """Run all of ``lint.commands``; one that fails fails the step.

    Raises:
        Interrupted: a signal asked mlbutler to stop; the commands have ended.
    """
    settings = work.settings.lint
    if not settings.commands:
        return LintResult(
            outcome=Outcome.SKIPPED,
            reason="not configured",
            remedy="Set commands under [lint] in mlbutler.toml, such as commands = ['ruff check'].",
        )
    runs, redactor, ours = run_commands(work, settings.commands, settings.timeout)
    bad = [done for done in runs if done.exit_code != 0]
    if bad:
        return LintResult(
            outcome=Outcome.FAILED,
            reason=redactor.hide("; ".join(failure(done, settings.timeout) for done in bad)),
            remedy=f"Fix what the linter names, or the commands under [lint] in mlbutler.toml. {ours.hint}".strip(),
            runs=runs,
            held_back=ours.held_back,
        )
    passed = "the linter passed" if len(runs) == 1 else f"all {len(runs)} linters passed"
    return LintResult(outcome=Outcome.PASSED, reason=passed, runs=runs, held_back=ours.held_back)
