"""What a run said that it would fix, and has not."""

from __future__ import annotations

import dataclasses

import pytest

from mlbutler.record import (
    CheckResult,
    CommitResult,
    Finding,
    Outcome,
    PushResult,
    Record,
    ReproduceResult,
    StageRun,
)
from mlbutler.record_ended import close_record
from mlbutler.record_pending import judge_pending
from mlbutler.report.headline import headline, outcome
from tests.report.conftest import record as full  # noqa: F401 - a fixture

PASSED, FAILED, SKIPPED = Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED
STALE = Finding(check="lock", subject="train", problem="param lr: 0.1 -> 0.2", remedy="dvc repro train")
AWAY = Finding(check="pushed", subject="model.txt", problem="not pushed", remedy="mlbutler push")
FETCH = "git fetch origin refs/mlbutler/results/a && git cherry-pick FETCH_HEAD && dvc pull"


def make_record(full: Record, **changes: object) -> Record:  # noqa: F811
    """A run whose `check` left both findings to it, and that fixed both."""
    change = dataclasses.replace(full.change, ci="jenkins", kind="pull-request")
    kept = {
        "change": change, "compare": None, "test": None, "lint": None, "sync": None,
        "check": CheckResult(outcome=PASSED, reason="2 problems that this run fixes", pending=(STALE, AWAY)),
        "reproduce": ReproduceResult(outcome=PASSED, reason="1 ran", stages=(StageRun(name="train", outcome="ran"),)),
        "push": PushResult(outcome=PASSED, reason="3 objects sent"),
        "commit": CommitResult(outcome=PASSED, reason="2 files", commit="a" * 40),
    }  # fmt: skip
    return dataclasses.replace(full, **(kept | changes))  # type: ignore[arg-type]


def test_what_the_run_fixed_is_no_finding(full: Record) -> None:  # noqa: F811
    assert judge_pending(make_record(full)) is None
    assert outcome(close_record(make_record(full))) is PASSED


@pytest.mark.parametrize("reason", [
    "the remote refused the push: protected branch",
    "the branch moved meanwhile and changed what the results stand on: x",
    "what was reproduced is a merge that the CI server made, not the branch", "not run: reproduce failed",
    "skipped by --only or --skip",
])  # fmt: skip
def test_results_that_are_not_on_the_branch_fail_the_check(full: Record, reason: str) -> None:  # noqa: F811
    commit = CommitResult(outcome=SKIPPED, reason=reason, remedy=FETCH, fetch_command=FETCH)
    record = close_record(make_record(full, commit=commit))
    assert record.check is not None
    assert (record.check.outcome, record.check.pending) == (FAILED, (AWAY,))
    (found,) = record.check.findings
    assert (found.subject, found.remedy) == ("train", FETCH)
    assert reason in found.problem
    said = f"Failed: check: still stale in dvc.lock: train (commit: {reason[:20]}"
    assert headline(record).plain(300).startswith(said)
    assert close_record(record) == record


def test_a_push_that_failed_leaves_the_object_on_no_remote(full: Record) -> None:  # noqa: F811
    push = PushResult(outcome=Outcome.ERROR, reason="503", remedy="Try again.")
    commit = CommitResult(outcome=SKIPPED, reason="not run: push could not be done")
    again = judge_pending(make_record(full, push=push, commit=commit))
    assert again is not None
    found = [(finding.subject, finding.remedy) for finding in again.findings]
    assert found == [("train", "Try again."), ("model.txt", "Try again.")]
    assert again.pending == ()


def test_without_another_remedy_the_check_s_own_stands(full: Record) -> None:  # noqa: F811
    again = judge_pending(make_record(full, commit=None, push=None))
    assert again is not None
    assert [found.remedy for found in again.findings] == ["dvc repro train", "mlbutler push"]


def test_on_a_laptop_the_work_tree_counts_and_nothing_has_to_be_shared(full: Record) -> None:  # noqa: F811
    local = dataclasses.replace(full.change, ci="local", kind="local")
    skipped = {"push": PushResult(outcome=SKIPPED, reason="not shared"),
               "commit": CommitResult(outcome=SKIPPED, reason="not shared")}  # fmt: skip
    assert judge_pending(make_record(full, change=local, **skipped)) is None
    stages = (StageRun(name="train", outcome="failed"),)
    failed = ReproduceResult(outcome=FAILED, reason="train failed", stages=stages, remedy="See the log.")
    again = judge_pending(make_record(full, change=local, reproduce=failed, **skipped))
    assert again is not None
    assert [(found.subject, found.remedy) for found in again.findings] == [("train", "See the log.")]


@pytest.mark.parametrize("end", ["interrupted", "killed"])
def test_of_a_run_that_did_not_end_nothing_is_judged(full: Record, end: str) -> None:  # noqa: F811
    stopped = ReproduceResult(outcome=Outcome.INTERRUPTED, reason="Interrupted.")
    how = {"reproduce": stopped} if end == "interrupted" else {"began": {"reproduce": "t"}}
    assert judge_pending(make_record(full, commit=None, **how)) is None


def test_what_was_wrong_before_stays_and_is_named_first(full: Record) -> None:  # noqa: F811
    other = dataclasses.replace(STALE, subject="prepare")
    check = CheckResult(
        outcome=FAILED, reason="stale in dvc.lock: prepare", remedy="dvc repro prepare", findings=(other,),
        pending=(STALE,),
    )  # fmt: skip
    again = judge_pending(make_record(full, check=check, commit=None))
    assert again is not None
    assert again.reason == "stale in dvc.lock: prepare; still stale in dvc.lock: train (commit was not run)"
    assert again.remedy == "dvc repro prepare"


def test_what_was_about_to_be_fixed_is_not_said_of_a_run_that_has_ended(full: Record) -> None:  # noqa: F811
    wrong = Finding(check="lock", subject="first", problem="code: differs", remedy="dvc repro first")
    reason = "stale in dvc.lock: first; 2 problems that this run fixes; 4 objects"
    check = CheckResult(outcome=FAILED, reason=reason, findings=(wrong,), pending=(STALE, AWAY))
    record = close_record(make_record(full, check=check, commit=CommitResult(outcome=SKIPPED, reason="protected")))
    assert record.check is not None
    said = "stale in dvc.lock: first; 4 objects; still stale in dvc.lock: train (commit: protected)"
    assert record.check.reason == said
