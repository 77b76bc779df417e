"""The past of metrics in reports."""

from __future__ import annotations

import dataclasses
import re

import pytest

from mlbutler.record import CompareResult, MetricChange, MetricHistory, Outcome, PastValue, Record, Scalar
from mlbutler.report import html, markdown
from mlbutler.report.history import section
from mlbutler.report.model import Table
from mlbutler.report.sparkline import blocks
from mlbutler.settings import ReportSettings
from tests.report.hostile import FRAGMENTS


def compare_result(past: list[Scalar], new: Scalar, goal: str | None = "maximize", name: str = "acc") -> CompareResult:
    values = tuple(PastValue(f"{n:040x}", f"2026-01-{n + 1:02}T10:00:00+00:00", v) for n, v in enumerate(past))
    return CompareResult(
        outcome=Outcome.PASSED,
        reason="",
        metrics=(MetricChange(file="m.json", name=name, old=past[-1] if past else None, new=new),),
        history=(MetricHistory(file="m.json", name=name, goal=goal, values=values),),
    )


def last_cell(compare: CompareResult) -> tuple[str, str]:
    found = section(compare, 5)
    assert found is not None
    table = found.blocks[0]
    assert isinstance(table, Table)
    return table.rows[0][-1].line[0].text, str(table.rows[0][-1].tone)


@pytest.mark.parametrize(
    ("new", "goal", "said", "tone"),
    [
        (0.95, "maximize", "better than all 3", "good"),
        (0.95, "minimize", "worse than all 3", "bad"),
        (0.95, None, "above all 3", ""),
        (0.1, "maximize", "worse than all 3", "bad"),
        (0.85, "maximize", "better than 2 of 3", ""),
        (0.85, "minimize", "better than 1 of 3", ""),
        (0.9, "maximize", "better than 2 of 3", ""),
        (None, "maximize", "—", ""),
        ("NaN", "maximize", "—", ""),
    ],
)
def test_where_the_number_stands(new: Scalar, goal: str | None, said: str, tone: str) -> None:
    assert last_cell(compare_result([0.7, 0.9, 0.8], new, goal)) == (said, tone)


def test_one_measurement_is_no_history() -> None:
    assert section(compare_result([0.7], 0.8), 5) is None
    assert section(compare_result(["x", 0.7], 0.8), 5) is None


def test_blocks() -> None:
    assert blocks([1, 2, 3]) == "▁▅█"
    assert blocks([5, 5]) == "▄▄"
    assert blocks([-1.7e308, 1.7e308]) == "▁█"
    assert blocks([]) == ""
    assert len(blocks(list(range(100)))) == 20


def test_in_both_renderings_with_hostile_names(record: Record) -> None:
    compare = compare_result([0.1, 0.2, 1e308, -1e308], 0.3, name="".join(FRAGMENTS))
    assert record.compare is not None
    full = dataclasses.replace(record, compare=dataclasses.replace(record.compare, history=compare.history))
    text = markdown.render(full, ReportSettings())
    assert "▅▅█▁" in text
    assert "<script" not in text
    page = html.render(full, ReportSettings())
    charts = re.findall(r"<svg[^>]*role=\"img\".*?</svg>", page, re.DOTALL)
    assert any("2026-01-01 0000000000: 0.1" in chart for chart in charts)
    assert "<script>alert" not in page
