"""The lint step on real commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mlbutler.record import Outcome
from mlbutler.steps.context import RunContext
from mlbutler.steps.lint import run

Make = Callable[..., RunContext]


def test_nothing_configured_is_not_a_pass(working_state: Make, tmp_path: Path) -> None:
    result = run(working_state(tmp_path, ""))
    assert (result.outcome, result.reason) == (Outcome.SKIPPED, "not configured")
    assert "[lint]" in result.remedy


def test_all_linters_run_and_every_failure_is_named(working_state: Make, tmp_path: Path) -> None:
    settings = "lint.commands = ['echo found; exit 1', 'touch ran', 'no-such-linter']"
    result = run(working_state(tmp_path, settings))
    assert result.outcome is Outcome.FAILED
    assert tmp_path.joinpath("ran").exists()
    assert [done.exit_code for done in result.runs] == [1, 0, 127]
    assert "'echo found; exit 1' failed (exit code 1)" in result.reason
    assert "'no-such-linter' failed (exit code 127: command not found)" in result.reason
    assert result.runs[0].tail == ("found",)


def test_clean_code_passes(working_state: Make, tmp_path: Path) -> None:
    result = run(working_state(tmp_path, "lint.commands = ['true', 'true']"))
    assert (result.outcome, result.reason) == (Outcome.PASSED, "all 2 linters passed")
