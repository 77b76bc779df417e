"""The verdict in one sentence."""

from __future__ import annotations

from dataclasses import replace

from mlbutler.record import MetricChange, Outcome, Record, Verdict
from mlbutler.report.headline import headline


def test_a_key_that_begins_another_one_leaves_its_file_to_it(record: Record) -> None:
    def metric(file: str, name: str) -> MetricChange:
        return MetricChange(
            file=file, name=name, old=2.0, new=1.0, difference=-1.0, relative=-0.5, goal="maximize",
            verdict=Verdict.WORSE, reason="",
        )  # fmt: skip

    assert record.compare is not None
    metrics = (metric("b.json", "acc"), metric("a.json", "acc_top"), metric("b.json", "acc_top"))
    said = "Worse: b.json:acc 2 to 1, a.json:acc_top 2 to 1, b.json:acc_top 2 to 1."
    compare = replace(record.compare, outcome=Outcome.PASSED, metrics=metrics, gates=(), sentence=said)
    record = replace(record, compare=compare, test=None, lint=None, check=None)
    assert "Worse: acc 2 to 1, a.json:acc_top 2 to 1, b.json:acc_top 2 to 1" in headline(record).plain(500)
