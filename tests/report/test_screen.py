"""Names of a project's files and metrics on a terminal and in a CI server's log."""

from __future__ import annotations

import pytest

from mlbutler.console import Console
from mlbutler.report.model import Column, Table, Tone, cell
from mlbutler.report.screen import Screen
from tests.fuzz.oracles import require_harmless


@pytest.mark.parametrize("name", [
    "::add-mask::x", "##[group]x", "##vso[task.setvariable variable=PATH]/x", "a\n::error::x", f"{'a' * 80}::error::x",
    f"{'a ' * 38}a ::error::x",
])  # fmt: skip
def test_no_name_is_a_command_to_a_ci_server(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(Console())
    screen.line(name)
    screen.line(f"data {name}: added", Tone.MUTED)
    screen.table(Table(name, (Column("Metric"), Column("Now", numeric=True)), ((cell(name), cell("1")),)))
    said = capsys.readouterr().out
    assert "Metric" in said
    for line in said.splitlines():
        require_harmless(line)
