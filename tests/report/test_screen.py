"""Names of a project's files and metrics on a terminal and in a CI server's log."""

from __future__ import annotations

import io
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

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


_TEXTS = st.text(st.one_of(st.sampled_from("aZ9 .-—−→±×≈…\t\n\x1b\u0301\xad漢👍"), st.characters()), max_size=12)


@st.composite
def _tables(draw: st.DrawFn) -> Table:
    width = draw(st.integers(1, 4))
    columns = tuple(
        Column(draw(st.sampled_from(["Metric", "Now", "", "Verdict"])), draw(st.booleans())) for _ in range(width)
    )
    rows = draw(st.lists(st.tuples(*[_TEXTS] * width), max_size=3))
    return Table(draw(_TEXTS), columns, tuple(tuple(map(cell, row)) for row in rows))


@given(_tables(), st.sampled_from(["", "20", "40", "200"]))
@example(Table("", (Column("Metric", numeric=True),), ((cell("0 "),),)), "")
@settings(max_examples=100, deadline=None)
def test_a_log_gets_what_rich_would_write(table: Table, columns: str) -> None:
    def output(log: bool) -> str:
        stream = io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("COLUMNS", raising=False)
            if columns:
                patch.setenv("COLUMNS", columns)
            patch.setattr("sys.stdout", stream)
            screen = Screen(Console())
            screen._log = screen._log and log
            screen.line(table.caption, Tone.MUTED)
            screen.table(table, whole=("Verdict",))
        return stream.getvalue()

    assert output(log=True) == output(log=False)


def test_a_log_needs_no_rich(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.isatty", lambda number: False)
    for name in ("rich", "rich.console", "rich.table", "rich.text"):
        monkeypatch.setitem(sys.modules, name, None)
    screen = Screen(Console())
    screen.line("data: added")
    screen.table(Table("", (Column("Metric"), Column("Now", numeric=True)), ((cell("accuracy"), cell("0.92")),)))
    assert capsys.readouterr().out.splitlines()[-2:] == ["│ accuracy │ 0.92 │", "└──────────┴──────┘"]
