from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path

import pytest

from mlbutler import record_file
from mlbutler.console import Console
from mlbutler.errors import OutsideError, PathRefused, SettingsError
from mlbutler.record import CommandRun, Outcome, PublishResult, Record, TestResult
from mlbutler.secrets import Redactor
from mlbutler.settings import LoadedSettings, parse_settings
from mlbutler.steps import report
from mlbutler.steps.context import RunContext

SECRET = 'op"en<sesame>&|1'


def run_context(root: Path, record: Record, settings: str = "") -> RunContext:
    console = Console(quiet=True, redactor=Redactor([SECRET]))
    return RunContext(
        root=root, loaded=LoadedSettings(parse_settings(settings), {}), console=console, record=record, environ={}
    )


def test_all_renderings_are_written_and_named_in_the_result(tmp_path: Path, record: Record) -> None:
    result = report.run(run_context(tmp_path, record))
    assert result.outcome is Outcome.PASSED
    assert dict(result.files) == {
        "md": ".mlbutler/report/report.md",
        "html": ".mlbutler/report/report.html",
        "json": ".mlbutler/report/report.json",
        "junit": ".mlbutler/report/report.xml",
        "verdict": ".mlbutler/report/verdict.txt",
        "verdict-html": ".mlbutler/report/verdict.html",
        "badge": ".mlbutler/report/badge.svg",
        "metrics": ".mlbutler/report/metrics.csv",
        "sarif": ".mlbutler/report/report.sarif",
        "codequality": ".mlbutler/report/codequality.json",
        "openmetrics": ".mlbutler/report/metrics.txt",
    }
    short = ("verdict", "verdict-html", "metrics", "openmetrics")
    assert all((tmp_path / path).stat().st_size > 500 for kind, path in result.files if kind not in short)
    written = {path.name for path in (tmp_path / ".mlbutler/report").iterdir()}
    assert written == {Path(path).name for _, path in result.files}
    report.run(run_context(tmp_path, dataclasses.replace(record, compare=None)))
    assert not (tmp_path / ".mlbutler/report/metrics.csv").exists()  # those were of the run before


def test_the_verdict_for_a_list_of_builds_is_one_line_without_elements(tmp_path: Path, record: Record) -> None:
    hostile = f"<img src=x onerror=y>\nof {SECRET} " + "x" * 200
    failed = dataclasses.replace(
        record, reproduce=None, compare=None, test=TestResult(outcome=Outcome.FAILED, reason=hostile)
    )
    report.run(run_context(tmp_path, failed))
    text = (tmp_path / ".mlbutler/report/verdict.txt").read_text(encoding="utf-8")
    assert text.startswith("Failed: test: ‹img src=x onerror=y>")
    assert (text.count("\n"), text[-1], "<" in text, "sesame" in text) == (1, "\n", False, False)
    assert len(text) <= 100


def test_no_rendering_holds_a_secret_that_a_program_printed(tmp_path: Path, record: Record) -> None:
    run = CommandRun(command=f"login --password {SECRET}", exit_code=1, duration=1.0, tail=(f"using {SECRET} now",))
    leaky = dataclasses.replace(record, test=TestResult(outcome=Outcome.FAILED, reason=f"saw {SECRET}", runs=(run,)))
    result = report.run(run_context(tmp_path, leaky))
    for kind, path in result.files:
        text = (tmp_path / path).read_text(encoding="utf-8")
        assert "[hidden]" in text or kind in (
            "verdict",
            "verdict-html",
            "badge",
            "metrics",
            "sarif",
            "codequality",
            "openmetrics",
        )  # which tells of a number here
        assert "sesame" not in text


def test_it_can_be_made_again_from_the_json_anywhere(tmp_path: Path, record: Record) -> None:
    first, second = tmp_path / "one", tmp_path / "two"
    report.run(run_context(first, record))
    kept = record_file.read_record(first / ".mlbutler/report/report.json", strict=True)
    assert kept is not None
    report.run(run_context(second, kept))
    for name in ("report.md", "report.html", "report.json", "report.xml", "verdict.txt", "badge.svg", "metrics.csv"):
        assert (first / ".mlbutler/report" / name).read_bytes() == (second / ".mlbutler/report" / name).read_bytes()


def test_its_own_failure_last_time_is_not_held_against_the_run(tmp_path: Path, record: Record) -> None:
    stale = dataclasses.replace(record, publish=PublishResult(outcome=Outcome.ERROR, reason="the forge was down"))
    report.run(run_context(tmp_path, stale))
    assert "\n**Worse**" in (tmp_path / ".mlbutler/report/report.md").read_text()


@pytest.mark.parametrize("directory", ["../out", "/tmp/out", ".", "a/../..", ".git/hooks"])
def test_a_pull_request_cannot_aim_the_report_outside_the_project(
    tmp_path: Path, record: Record, directory: str
) -> None:
    root = tmp_path / "project"
    root.mkdir()
    with pytest.raises(SettingsError) as caught:
        report.run(run_context(root, record, f"[report]\ndirectory = {json.dumps(directory)}\n"))
    assert "report.directory" in caught.value.remedy
    assert not (tmp_path / "out").exists()


def test_a_link_out_of_the_project_is_not_followed(tmp_path: Path, record: Record) -> None:
    root, outside = tmp_path / "project", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    (root / "reports").symlink_to(outside)
    with pytest.raises(PathRefused):
        report.run(run_context(root, record, '[report]\ndirectory = "reports"\n'))
    assert not list(outside.iterdir())


def test_a_directory_that_cannot_be_written_is_an_outside_error(tmp_path: Path, record: Record) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutsideError) as caught:
        report.run(run_context(tmp_path, record, '[report]\ndirectory = "file/report"\n'))
    assert caught.value.exit_code == 3


def test_github_s_page_of_the_job_has_the_report(tmp_path: Path, record: Record) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("of another step\n")
    job = run_context(tmp_path, record)
    job.environ = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    report.run(job)
    assert summary.read_text().startswith("of another step\n### ❌ mlbutler: feature/faster-learning\n\n**Worse**: ")
    job.environ = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path / "no" / "such" / "folder.md")}
    assert report.run(job).outcome is Outcome.PASSED
