from __future__ import annotations

import dataclasses

import pytest

from mlbutler.record import REPORTING_STEPS, RESULTS, Outcome, Record
from mlbutler.record_ended import LEAST, close_interrupted_record, close_record
from mlbutler.report.headline import headline, outcome
from tests.report.conftest import record as full  # noqa: F401 - a fixture

PASSED, FAILED = Outcome.PASSED, Outcome.FAILED
TIME = "2025-11-23T09:14:00+00:00"


def make_record(full: Record, began: tuple[str, ...], due: tuple[str, ...], **outcomes: Outcome) -> Record:  # noqa: F811
    found = {name: kind(outcome=outcomes[name], reason="r") if name in outcomes else None
             for name, kind in RESULTS.items()}  # fmt: skip
    return dataclasses.replace(full, began=dict.fromkeys(began, TIME), due=due, **found)  # type: ignore[arg-type]


@pytest.mark.parametrize(("began", "due", "outcomes", "said"), [
    ((), LEAST, {"plan": PASSED, "sync": PASSED}, "Stopped: reproduce did not begin"),
    (("sync",), LEAST, {"plan": PASSED}, "Stopped: sync did not end"),
    (("reproduce",), LEAST, {"plan": PASSED, "sync": PASSED, "check": FAILED}, "Stopped: reproduce did not end"),
    (("reproduce",), (), {"plan": PASSED, "reproduce": PASSED}, "Stopped: reproduce did not end"),
    (("lint",), LEAST, {"plan": PASSED, "test": FAILED}, "Stopped: lint did not end"),
    ((), LEAST, {"test": FAILED, "plan": PASSED}, "Failed: test: r"),
    ((), LEAST, {"plan": Outcome.ERROR}, "Error: plan: r"),
    ((), (), {}, "Stopped: plan did not begin"),
    ((), (), {"test": PASSED}, "Passed: nothing was compared"),
    (REPORTING_STEPS, (), {"test": PASSED}, "Passed: nothing was compared"),
    ((), (*LEAST, "commit"), dict.fromkeys(LEAST, Outcome.SKIPPED), "Stopped: commit did not begin"),
    ((), LEAST, dict.fromkeys(LEAST, Outcome.SKIPPED), "Nothing judged: not compared: r"),
])  # fmt: skip
def test_what_is_owed_stopped_the_run(
    full: Record,  # noqa: F811
    began: tuple[str, ...],
    due: tuple[str, ...],
    outcomes: dict[str, Outcome],
    said: str,
) -> None:
    record = close_record(make_record(full, began, due, **outcomes))
    assert headline(record).plain(200).startswith(said)
    assert (outcome(record) == Outcome.ERROR) == said.startswith(("Stopped", "Error"))
    assert close_record(record) == record  # told again, it is the same


def test_what_was_killed_leaves_nothing_of_an_earlier_attempt(full: Record) -> None:  # noqa: F811
    again = dataclasses.replace(full, began={"reproduce": TIME})
    told = close_record(again).reproduce
    assert told is not None
    assert (told.stages, told.started, told.reason) == ((), TIME, "did not end")
    assert "run it again" in told.remedy
    assert close_record(full) == full


@pytest.mark.parametrize(("began", "outcomes", "said"), [
    (("reproduce",), {"plan": PASSED, "sync": PASSED}, "Interrupted: during reproduce"),
    ((), {"plan": PASSED, "test": FAILED}, "Interrupted: before lint"),
    ((), {}, "Interrupted: before test"),
    ((), dict.fromkeys(LEAST, PASSED) | {"test": PASSED, "lint": PASSED, "check": PASSED, "push": PASSED},
     "Interrupted: before commit"),
    (("lint", "test"), {"plan": PASSED}, "Interrupted: during test"),
    (("sync",), {"test": Outcome.INTERRUPTED, "plan": FAILED}, "Interrupted: before test"),
])  # fmt: skip
def test_an_aborted_build_was_interrupted_where_it_was(
    full: Record,  # noqa: F811
    began: tuple[str, ...],
    outcomes: dict[str, Outcome],
    said: str,
) -> None:
    record = close_interrupted_record(make_record(full, began, LEAST, **outcomes))
    assert headline(record).plain(200).startswith(f"{said}; nothing is judged")
    assert outcome(record) is Outcome.INTERRUPTED
    assert headline(record).further == ()
    assert record.began == {}
    assert close_record(record) == close_interrupted_record(record) == record


def test_an_abort_after_the_last_step_changes_no_verdict(full: Record) -> None:  # noqa: F811
    steps = dict.fromkeys([name for name in RESULTS if name not in REPORTING_STEPS], PASSED)
    record = make_record(full, (), LEAST, **steps)
    assert close_interrupted_record(record) == record


def test_what_else_is_unended_in_an_interrupted_run_is_no_error(full: Record) -> None:  # noqa: F811
    record = close_record(make_record(full, ("lint",), LEAST, test=Outcome.INTERRUPTED, plan=PASSED))
    assert record.lint is not None
    assert record.lint.outcome is Outcome.INTERRUPTED
