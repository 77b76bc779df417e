"""What reviewers read of changed code and parameters."""

from __future__ import annotations

import dataclasses

from mlbutler.record import CodeChange, Record
from mlbutler.report import markdown
from mlbutler.settings import ReportSettings as Settings


def with_code(record: Record, *code: CodeChange) -> str:
    assert record.compare is not None
    return markdown.render(
        dataclasses.replace(record, compare=dataclasses.replace(record.compare, code=code)), Settings()
    )


def test_an_undeclared_dependency_is_under_the_verdict_and_unfolded(record: Record) -> None:
    text = markdown.render(record, Settings())
    said = "src/layers.py changed and is used by train, evaluate, which does not declare it"
    assert said in text.split("<details")[0]
    summary = "3 files, 1 used by a stage that does not declare it, 1 of no stage"
    assert f"<details open><summary><b>Code</b>: {summary}</summary>" in text
    rows = [line for line in text.splitlines() if line.startswith(("| <code>src/", "| <code>README"))]
    assert rows[0].startswith("| <code>src/layers.py</code> | changed | — | train: imported by src/train.py; evaluate:")
    assert rows[1].startswith("| <code>src/train.py</code> | changed | train | — |")


def test_declared_code_is_folded_and_no_code_is_no_section(record: Record) -> None:
    text = with_code(record, CodeChange(path="src/train.py", kind="changed", stages=("train",)))
    assert "<details><summary><b>Code</b>: 1 file</summary>" in text
    assert "does not declare" not in text
    assert "<b>Code</b>" not in with_code(record)


def test_a_parameter_is_told_with_the_stages_it_reaches(record: Record) -> None:
    assert "| train, evaluate, then publish |" in markdown.render(record, Settings())
