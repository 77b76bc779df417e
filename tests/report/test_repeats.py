"""What reviewers read of repeated runs and of gates that they leave open."""

from __future__ import annotations

import dataclasses

from mlbutler.record import GateResult, Outcome, Record, Verdict
from mlbutler.report import junit, markdown
from mlbutler.settings import ReportSettings as Settings


def test_means_and_interval_are_a_row_and_what_would_help_is_told(record: Record) -> None:
    text = markdown.render(record, Settings())
    assert "macro.f1</code> | 3 | 0.9204 | 0.9201 | −0.0002 | −0.0047 to +0.0042 (95&nbsp;%) |" in text
    assert "about 412 more seeds would tell such a difference from none, with a chance of 80 %." in text
    assert "train, evaluate, 4 of them restored from the run cache; seeds 7, 8, 9 in params.yaml:seed." in text


def test_a_run_that_failed_is_told_with_its_seed(record: Record) -> None:
    assert "here, seed 9: stage 'train' failed: exit code 1." in markdown.render(record, Settings())


def test_an_inconclusive_gate_is_the_headline_and_no_failure(record: Record) -> None:
    assert record.compare is not None
    gate = GateResult(metric="metrics.json:macro.f1", rule="max drop 0.001, 3 repeats", level="fail",
                      outcome="inconclusive", sentence="macro.f1 is somewhere: needs about 9 more seeds")  # fmt: skip
    compare = dataclasses.replace(
        record.compare, gates=(gate,), outcome=Outcome.PASSED, verdict=Verdict.WITHIN_NOISE, remedy="",
        sentence=f"Inconclusive: {gate.sentence}", predictions=(),
    )  # fmt: skip
    passed = dataclasses.replace(record, compare=compare, check=None)
    assert "\n**Inconclusive**: macro.f1 is somewhere" in markdown.render(passed, Settings())
    assert "inconclusive: max drop 0.001, 3 repeats" in markdown.render(passed, Settings())
    assert "<failure" not in junit.render(passed)
    assert "needs about 9 more seeds" in junit.render(passed)
