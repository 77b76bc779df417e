"""Remarks on lines of files, and the files that other tools read them from."""

from __future__ import annotations

import dataclasses
import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlbutler import record as r
from mlbutler.record import Outcome, Record
from mlbutler.report import open_metrics
from mlbutler.report.annotation_files import code_quality, sarif
from mlbutler.report.annotations import MOST, Annotation, remarks

from .hostile import hostile_text, poison_record

LINT = (
    "src/train.py:3:5: F401 `os` imported but unused",
    "src/model.py:12: error: Incompatible types  [assignment]",
    "E501 Line too long (121 > 120)",
    "  --> src/far/long.py:7:121",
    "R/plot.R(4,2): object not found",
    "C:\\x.py:3: no path of ours",
    "/etc/passwd.py:1: outside",
    "../other.py:1: outside",
    "Found 4 errors.",
)


def ruff(code: int) -> r.CommandRun:
    return r.CommandRun(command="ruff check", exit_code=code, duration=0.1, tail=LINT)


def failing(record: Record) -> Record:
    """The sample with a failing test and a linter's findings."""
    other = r.FailedCase(suite="t", name="x", message="y")
    case = r.FailedCase(suite="t", name="test_acc", message="assert 1 == 2", file="tests/test_a.py", line=9)
    test = r.TestResult(outcome=Outcome.FAILED, reason="1 failed", failed_cases=(case, other))
    lint = r.LintResult(
        outcome=Outcome.FAILED,
        reason="failed",
        runs=(ruff(1),),
    )
    return dataclasses.replace(record, test=test, lint=lint)


def test_what_failed_is_told_at_its_line(record: Record) -> None:
    found = [(item.path, item.line, item.level, item.rule) for item in remarks(failing(record))]
    assert found == [
        ("tests/test_a.py", 9, "failure", "test"),
        ("dvc.lock", 1, "failure", "check-pushed"),
        ("src/train.py", 3, "failure", "lint"),
        ("src/model.py", 12, "failure", "lint"),
        ("src/far/long.py", 7, "failure", "lint"),
        ("R/plot.R", 4, "failure", "lint"),
        ("src/layers.py", 1, "warning", "undeclared"),
    ]
    long = next(item for item in remarks(failing(record)) if item.path == "src/far/long.py")
    assert long.message == "E501 Line too long (121 > 120)"  # the line before names what is wrong


def test_paths_are_from_the_repository_s_root(record: Record) -> None:
    found = remarks(dataclasses.replace(failing(record), project="teams/vision"))
    assert {item.path.partition("/src/")[0] for item in found if "/src/" in item.path} == {"teams/vision"}


def test_a_linter_that_passed_is_not_quoted(record: Record) -> None:
    lint = r.LintResult(
        outcome=Outcome.PASSED,
        reason="",
        runs=(ruff(0),),
    )
    assert not [item for item in remarks(dataclasses.replace(record, lint=lint)) if item.rule == "lint"]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(pool=st.lists(hostile_text, min_size=7, max_size=7))
def test_hostile_text_makes_sound_files_and_no_path_outside(record: Record, pool: list[str]) -> None:
    turn = iter(range(10**6))
    evil = poison_record(failing(record), lambda: pool[next(turn) % len(pool)])
    found: tuple[Annotation, ...] = remarks(evil)
    assert len(found) <= MOST
    for item in found:
        assert not item.path.startswith("/")
        assert ".." not in item.path.split("/")
        assert item.message
        assert not any(ord(c) < 32 or c in "\u202e\u2028" for c in item.message + item.title + item.path)
    document = json.loads(sarif(evil))
    assert len(document["runs"][0]["results"]) == len(found)
    assert len(json.loads(code_quality(evil))) == len(found)


def test_sarif_has_what_code_scanning_asks_for(record: Record) -> None:
    document = json.loads(sarif(failing(record)))
    assert (document["version"], document["$schema"]) == ("2.1.0", "https://json.schemastore.org/sarif-2.1.0.json")
    (run,) = document["runs"]
    assert {result["ruleId"] for result in run["results"]} <= {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    first = run["results"][0]
    assert first["level"] == "error"
    assert first["message"]["text"] == "test_acc failed: assert 1 == 2"
    place = first["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("tests/test_a.py", 9)


def test_code_quality_findings_are_told_apart(record: Record) -> None:
    found = json.loads(code_quality(failing(record)))
    assert len({item["fingerprint"] for item in found}) == len(found)
    assert found[0] == {
        "description": "test_acc failed: assert 1 == 2", "check_name": "test", "severity": "major",
        "fingerprint": found[0]["fingerprint"], "location": {"path": "tests/test_a.py", "lines": {"begin": 9}},
    }  # fmt: skip


def test_metrics_are_a_text_that_gitlab_compares(record: Record) -> None:
    lines = open_metrics.render(record).splitlines()
    assert lines[0] == "# TYPE mlbutler_metric gauge"
    assert 'mlbutler_metric{name="metrics.json:test.accuracy"} 0.89444' in lines
    assert lines[-1] == "# EOF"
    assert open_metrics.render(dataclasses.replace(record, compare=None)) == ""
