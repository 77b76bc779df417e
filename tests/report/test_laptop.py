"""What a report says of a run on a laptop: what nobody committed, and whether others can run it again."""

from __future__ import annotations

import dataclasses

import pytest

from mlbutler.record import Record
from mlbutler.report import html, markdown
from mlbutler.settings import ReportSettings as Settings
from tests.report.conftest import HEAD


def local(record: Record, **fields: object) -> Record:
    change = dataclasses.replace(record.change, ci="local", kind="local", number=None, **fields)  # type: ignore[arg-type]
    return dataclasses.replace(record, change=change)


def test_uncommitted_files_are_in_the_first_lines_and_named_below(record: Record) -> None:
    edited = local(record, uncommitted=("src/train.py", "<img src=x>"), uncommitted_count=2)
    text = markdown.render(edited, Settings())
    assert f"/commit/{HEAD}) and 2 uncommitted files of " in text
    assert "| Not committed | src/train.py, &lt;img" in text
    assert "To run it again" not in text
    assert "there were uncommitted files beside it" in text
    assert "<img src=x>" not in html.render(edited, Settings())


@pytest.mark.parametrize(("pushed", "again"), [(True, True), (False, False)])
def test_the_command_that_runs_it_again_is_told_where_others_have_the_commit(
    record: Record, pushed: bool, again: bool
) -> None:
    text = markdown.render(local(record, pushed=pushed), Settings())
    assert ("To run it again" in text) is again
    assert ("it is in no remote" in text) is not again


def test_the_target_branch_itself_is_no_target(record: Record) -> None:
    text = markdown.render(local(record, on_target=True, target_branch="main"), Settings())
    assert "(the commit before: this is main itself)" in text
