"""The test step on real commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mlbutler.record import Outcome
from mlbutler.steps.context import RunContext
from mlbutler.steps.test import run

Make = Callable[..., RunContext]

JUNIT = '<testsuite name="s"><testcase name="a"/><testcase name="b">{}</testcase></testsuite>'
BAD = JUNIT.format('<failure message="no"/>')


def test_nothing_configured_is_not_a_pass(working_state: Make, tmp_path: Path) -> None:
    result = run(working_state(tmp_path, ""))
    assert (result.outcome, result.reason) == (Outcome.SKIPPED, "not configured")
    assert "[test]" in result.remedy


def test_a_passing_command_shows_its_output(
    working_state: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    result = run(working_state(tmp_path, "test.command = 'echo from the tests'"))
    assert result.outcome is Outcome.PASSED
    assert result.tests is None
    assert result.runs[0].tail == ("from the tests",)
    assert "from the tests\n" in capfd.readouterr().out


def test_all_commands_run_in_order_and_one_failure_fails(working_state: Make, tmp_path: Path) -> None:
    result = run(working_state(tmp_path, "test.command = ['echo 1 >> log; exit 3', 'echo 2 >> log']"))
    assert tmp_path.joinpath("log").read_text() == "1\n2\n"
    assert result.outcome is Outcome.FAILED
    assert [done.exit_code for done in result.runs] == [3, 0]
    assert "'echo 1 >> log; exit 3' failed (exit code 3)" in result.reason


def test_a_command_that_is_not_there_says_so(working_state: Make, tmp_path: Path) -> None:
    result = run(working_state(tmp_path, "test.command = 'no-such-test-runner --all'"))
    assert result.outcome is Outcome.FAILED
    assert "command not found" in result.reason


def test_a_timeout_fails(working_state: Make, tmp_path: Path) -> None:
    result = run(working_state(tmp_path, "test.command = 'sleep 30'\ntest.timeout = 0.3"))
    assert result.outcome is Outcome.FAILED
    assert "timed out after 0.3 s" in result.reason
    assert result.runs[0].exit_code is None


def test_junit_is_counted(working_state: Make, tmp_path: Path) -> None:
    tmp_path.joinpath("in").write_text(JUNIT.format(""))
    result = run(
        working_state(tmp_path, "test.command = 'mkdir -p out/a; cat in > out/a/r.xml'\ntest.junit = 'out/**/*.xml'")
    )
    assert result.outcome is Outcome.PASSED
    assert (result.tests, result.failures, result.errors, result.skipped) == (2, 0, 0, 0)
    assert "2 tests, none failed" in result.reason


def test_failures_in_junit_outweigh_exit_code_0(working_state: Make, tmp_path: Path) -> None:
    tmp_path.joinpath("in").write_text(BAD)
    result = run(working_state(tmp_path, "test.command = 'cat in > r.xml; true'\ntest.junit = '*.xml'"))
    assert result.outcome is Outcome.FAILED
    assert "1 of 2 tests failed" in result.reason
    assert result.failed_cases[0].name == "b"


def test_a_stale_file_is_not_taken_for_this_runs(working_state: Make, tmp_path: Path) -> None:
    old = tmp_path / "committed.xml"
    old.write_text(BAD)
    os.utime(old, (1_700_000_000, 1_700_000_000))
    result = run(working_state(tmp_path, "test.command = 'true'\ntest.junit = '*.xml'"))
    assert result.outcome is Outcome.PASSED
    assert result.tests is None
    assert "number of tests is unknown" in result.reason
    assert "older than this run" in result.reason


def test_a_broken_junit_file_is_named(working_state: Make, tmp_path: Path) -> None:
    result = run(working_state(tmp_path, "test.command = 'echo \"<tests\" > r.xml'\ntest.junit = '*.xml'"))
    assert result.outcome is Outcome.PASSED
    assert "r.xml is not valid XML" in result.reason
    assert result.tests is None


def test_pytest_without_tests_fails(working_state: Make, tmp_path: Path) -> None:
    command = f"{sys.executable} -m pytest -q -p no:cacheprovider"
    result = run(working_state(tmp_path, f"test.command = '{command}'"))
    assert result.outcome is Outcome.FAILED
    assert result.runs[0].exit_code == 5


def test_credentials_are_neither_given_nor_shown(
    working_state: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = "test.command = 'env > seen; cat hidden in-junit > r.xml; cat hidden'\ntest.junit = '*.xml'"
    secret = "planted-secret-value"
    tmp_path.joinpath("hidden").write_text("")
    tmp_path.joinpath("in-junit").write_text(JUNIT.format(f'<failure message="{secret}"/>'))
    result = run(working_state(tmp_path, settings, {"DEPLOY_TOKEN": secret}))
    assert secret not in tmp_path.joinpath("seen").read_text()
    assert result.failed_cases[0].message == "[hidden]"
    tmp_path.joinpath("hidden").write_text(secret)
    result = run(working_state(tmp_path, "test.command = 'cat hidden'", {"DEPLOY_TOKEN": secret}))
    assert result.runs[0].tail == ("[hidden]",)
    assert secret not in capfd.readouterr().out
