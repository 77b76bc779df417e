"""`publish --command`: the report on standard input, the change in the environment, hostile text as data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlbutler.errors import ForgeError
from mlbutler.record import Outcome
from mlbutler.steps import publish
from tests.forge.run_context import run_context

HEAD = "a" * 40


def test_the_command_gets_the_report_and_the_change(tmp_path: Path) -> None:
    job = run_context(
        tmp_path, HEAD, os.environ, title="$(touch pwned) `touch pwned` \0 'x'", build_url="https://ci.example.org/1"
    )
    result = publish.run(job, "cat > report.md; env -0 > told")
    assert (result.outcome, result.forge) == (Outcome.PASSED, "command")
    assert "\n**Better**: f1 0.8 -> 0.9" in (tmp_path / "report.md").read_text()
    told = dict(line.split("=", 1) for line in (tmp_path / "told").read_text().split("\0") if "=" in line)
    assert told["MLBUTLER_CHANGE_NUMBER"] == "17"
    assert told["MLBUTLER_CHANGE_HEAD"] == HEAD
    assert told["MLBUTLER_CHANGE_TITLE"].startswith("$(touch pwned) ")
    assert told["MLBUTLER_CHANGE_BUILD_URL"] == "https://ci.example.org/1"
    assert told["MLBUTLER_REPORT_STATE"] == "success"
    assert told["MLBUTLER_REPORT_SENTENCE"] == "Better: f1 0.8 -> 0.9"
    assert not (tmp_path / "pwned").exists()


def test_a_command_that_fails_is_worth_a_retry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environ = {**os.environ, "SOME_TOKEN": "hunter2222"}
    with pytest.raises(ForgeError) as caught:
        publish.run(run_context(tmp_path, HEAD, environ), 'echo "no route, $SOME_TOKEN"; exit 7')
    assert caught.value.exit_code == 3
    assert "exit code 7" in caught.value.message
    shown = capsys.readouterr().out
    assert "no route" in shown
    assert "hunter2222" not in shown


def test_a_fork_is_not_handed_over(tmp_path: Path) -> None:
    job = run_context(tmp_path, HEAD, os.environ, fork=True)
    assert publish.run(job, "touch here").outcome is Outcome.SKIPPED
    assert not (tmp_path / "here").exists()
