from __future__ import annotations

import dataclasses
import importlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlbutler import pipeline
from mlbutler.console import Console
from mlbutler.errors import AccessDenied, Interrupted, SettingsError, StoreError
from mlbutler.pipeline import STEPS, run_all, run_step
from mlbutler.record import Change, CheckResult, Environment, Finding, Outcome, Record, StepResult
from mlbutler.record import TestResult as Tested
from mlbutler.record_file import loads
from mlbutler.settings import LoadedSettings, Settings
from mlbutler.steps.context import RunContext, RunProgress

Play = Callable[[RunContext], StepResult]


@pytest.fixture
def context(tmp_path: Path) -> RunContext:
    record = Record(
        change=Change(ci="local", kind="local", head="a" * 40, checkout="a" * 40),
        environment=Environment(mlbutler="0", dvc="3", git="2", python="3", platform="x", host="h", cpus=1, memory=1),
        lock_hash="",
    )
    return RunContext(
        root=tmp_path, loaded=LoadedSettings(Settings(), {}), console=Console(), record=record, environ={}
    )


@pytest.fixture
def replace_steps(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Play]], list[str]]:
    """Replaces what the steps do; returns the names of those that were taken."""

    def play(plays: dict[str, Play]) -> list[str]:
        names: list[str] = []

        def module(name: str) -> Any:
            step = next(step for step in STEPS if step.name == name.rpartition(".")[2])

            def run(context: RunContext) -> StepResult:
                names.append(step.name)
                if step.name in plays:
                    return plays[step.name](context)
                return step.result(outcome=Outcome.PASSED, reason="done")

            return SimpleNamespace(run=run)

        monkeypatch.setattr(importlib, "import_module", module)
        return names

    return play


def ends(outcome: Outcome, name: str) -> Play:
    result = next(step.result for step in STEPS if step.name == name)
    return lambda context: result(outcome=outcome, reason="as told")


def raises(error: Exception) -> Play:
    def play(context: RunContext) -> StepResult:
        raise error

    return play


def read_kept_record(context: RunContext) -> Record:
    return loads((context.root / ".mlbutler" / "record.json").read_bytes())


def test_every_step_has_its_module_and_its_place_in_the_record() -> None:
    for step in STEPS:
        assert callable(importlib.import_module(f"mlbutler.steps.{step.name}").run)
        assert step.name in Record.__dataclass_fields__
        assert all(pipeline.NAMES.index(name) < pipeline.NAMES.index(step.name) for name in step.needs)


def test_all_steps_in_order(context: RunContext, replace_steps: Any) -> None:
    names = replace_steps({})
    assert run_all(context) == 0
    assert tuple(names) == pipeline.NAMES
    assert read_kept_record(context) == context.record


def test_a_failed_test_costs_no_download_but_is_still_reported(context: RunContext, replace_steps: Any) -> None:
    names = replace_steps({"test": ends(Outcome.FAILED, "test")})
    assert run_all(context) == 1
    assert names == ["test", "lint", "plan", "check", "compare", "report", "publish"]
    assert context.record.sync is not None
    assert (context.record.sync.outcome, context.record.sync.reason) == (Outcome.SKIPPED, "not run: test failed")


def test_a_step_that_has_nothing_to_do_is_one_line(
    context: RunContext, replace_steps: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pipeline, "LEAST_SHOWN", 60)  # seconds: on a busy machine nothing takes a while too
    replace_steps({"test": lambda context: Tested(outcome=Outcome.SKIPPED, reason="not configured", remedy="Set it.")})
    assert run_step(context, "test") == 0
    assert capsys.readouterr().out == "test: skipped: not configured\n  Set it.\n"
    run_all(context, only=["plan"])
    assert "skipped by --only or --skip" not in capsys.readouterr().out


def test_a_step_says_below_its_heading_what_it_does_and_at_last_how_long_it_took(
    context: RunContext, replace_steps: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]

    def fail_test(context: RunContext) -> Tested:
        context.console.line("> make test")
        now[0] = 61.0
        return Tested(outcome=Outcome.FAILED, reason="2 of 9 tests failed.", remedy="Fix them.")

    replace_steps({"test": fail_test})
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    assert run_step(context, "test") == 1
    shown = capsys.readouterr()
    assert shown.out == "\n== test: the project's tests\n> make test\n"
    assert shown.err == "test: failed: 2 of 9 tests failed (1 min)\n  Fix them.\n"


@pytest.mark.parametrize(
    ("plays", "code"),
    [
        ({"lint": ends(Outcome.FAILED, "lint")}, 1),
        ({"sync": raises(StoreError("the remote is down", "try again"))}, 3),
        ({"lint": ends(Outcome.FAILED, "lint"), "publish": raises(StoreError("down", "try again"))}, 3),
        ({"plan": raises(SettingsError("wrong", "fix it")), "check": raises(StoreError("down", ""))}, 2),
        ({"test": ends(Outcome.SKIPPED, "test")}, 0),
        ({"publish": ends(Outcome.ERROR, "publish")}, 3),
    ],
)
def test_what_a_retry_may_mend_outweighs_a_judgement(
    context: RunContext, replace_steps: Any, plays: dict[str, Play], code: int
) -> None:
    replace_steps(plays)
    assert run_all(context) == code


def test_an_error_is_kept_with_its_remedy_and_shown(
    context: RunContext, replace_steps: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    replace_steps({"sync": raises(AccessDenied("401 from the remote", "Set the password."))})
    run_all(context)
    sync = read_kept_record(context).sync
    assert sync is not None
    assert (sync.outcome, sync.reason, sync.remedy) == (Outcome.ERROR, "401 from the remote", "Set the password.")
    assert "Set the password." in capsys.readouterr().err


def test_a_step_that_had_done_a_part_keeps_it(context: RunContext, replace_steps: Any) -> None:
    result = next(step.result for step in STEPS if step.name == "push")
    error = StoreError("cut off", "again")
    error.partial = result(outcome=Outcome.ERROR, reason="3 of 5 objects")
    replace_steps({"push": raises(error)})
    assert run_all(context) == 3
    assert context.record.push is not None
    assert (context.record.push.reason, context.record.push.remedy) == ("3 of 5 objects", "again")


def test_a_step_that_had_done_a_part_when_it_was_interrupted_is_no_error(
    context: RunContext, replace_steps: Any
) -> None:
    result = next(step.result for step in STEPS if step.name == "compare")
    stop = Interrupted("stopped", "again")
    stop.partial = result(outcome=Outcome.ERROR, reason="3 of 5 seeds")
    replace_steps({"compare": raises(stop)})
    with pytest.raises(Interrupted):
        run_all(context)
    compare = read_kept_record(context).compare
    assert compare is not None
    assert (compare.outcome, compare.reason) == (Outcome.INTERRUPTED, "3 of 5 seeds")


def test_an_interruption_leaves_the_record_of_what_was_done(context: RunContext, replace_steps: Any) -> None:
    names = replace_steps({"reproduce": raises(Interrupted("stopped", "run it again"))})
    with pytest.raises(Interrupted):
        run_all(context)
    record = read_kept_record(context)
    assert names[-1] == "reproduce"
    assert record.sync is not None
    assert record.reproduce is not None
    assert (record.sync.outcome, record.reproduce.outcome, record.push) == (Outcome.PASSED, Outcome.INTERRUPTED, None)


def test_a_step_that_began_is_marked_until_it_ends(context: RunContext, replace_steps: Any) -> None:
    marks: dict[str, list[str]] = {}

    def look(context: RunContext) -> StepResult:
        marks["sync"] = list(read_kept_record(context).began)
        return ends(Outcome.PASSED, "sync")(context)

    replace_steps({"sync": look})
    run_all(context, skip=["push"])
    assert marks == {"sync": ["sync"]}
    assert read_kept_record(context).began == {}
    assert read_kept_record(context).due == ("test", "lint", "plan", "sync", "check", "reproduce", "compare", "commit")


def test_after_a_step_that_was_killed_those_that_need_it_are_not_taken(context: RunContext, replace_steps: Any) -> None:
    names = replace_steps({"sync": raises(SystemExit())})  # type: ignore[arg-type]
    pipeline.resume(context)
    with pytest.raises(SystemExit):
        run_step(context, "sync")
    assert pipeline.blocking_reason(read_kept_record(context), "reproduce") == "not run: sync did not end"
    replace_steps({})
    assert run_step(context, "sync") == 0
    assert names == ["sync"]
    assert pipeline.blocking_reason(read_kept_record(context), "reproduce") == ""


FOLLOWERS = {
    "test": ("lint", "plan", "check", "compare", "report", "publish"),
    "lint": ("plan", "check", "compare", "report", "publish"),
    "plan": ("compare", "report", "publish"),
    "sync": ("check", "compare", "report", "publish"),
    "check": ("reproduce", "push", "compare", "commit", "report", "publish"),
    "reproduce": ("push", "compare", "report", "publish"),
    "push": ("compare", "report", "publish"),
    "compare": ("commit", "report", "publish"),
    "commit": ("report", "publish"),
}


@pytest.mark.parametrize("failed", FOLLOWERS)
@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.ERROR])
def test_a_failed_step_ends_only_what_needs_it(
    context: RunContext, replace_steps: Any, failed: str, outcome: Outcome
) -> None:
    names = replace_steps({failed: ends(outcome, failed)})
    run_all(context)
    followers = FOLLOWERS[failed]
    if (failed, outcome) == ("plan", Outcome.FAILED):  # some stages cannot run, the others do
        followers = pipeline.NAMES[pipeline.NAMES.index("plan") + 1 :]
    assert tuple(names[names.index(failed) + 1 :]) == followers == pipeline.run_after(failed, outcome)


@pytest.mark.parametrize("stop", [Interrupted("Stopped."), KeyboardInterrupt()])
def test_after_an_interruption_no_step_begins_but_those_that_tell_of_it(
    context: RunContext, replace_steps: Any, stop: BaseException
) -> None:
    replace_steps({"check": raises(stop)})  # type: ignore[arg-type]
    pipeline.resume(context)
    with pytest.raises(type(stop)):
        run_step(context, "check")
    assert read_kept_record(context).check.outcome is Outcome.INTERRUPTED  # type: ignore[union-attr]
    blocked = {name: pipeline.blocking_reason(read_kept_record(context), name) for name in pipeline.NAMES}
    later = ("reproduce", "push", "compare", "commit")
    assert blocked == dict.fromkeys(pipeline.NAMES, "") | dict.fromkeys(later, "not run: check was interrupted")


def test_processes_side_by_side_lose_none_of_each_others_results(context: RunContext, replace_steps: Any) -> None:
    def meanwhile(_: RunContext) -> StepResult:
        other = dataclasses.replace(context, record=before, progress=RunProgress())
        run_step(other, "test")
        return ends(Outcome.PASSED, "sync")(context)

    replace_steps({"sync": meanwhile, "test": ends(Outcome.FAILED, "test")})
    run_step(context, "plan")
    before = context.record
    run_step(context, "sync")
    assert [name for name, _ in read_kept_record(context).steps()] == ["test", "plan", "sync"]
    assert read_kept_record(context).began == {}
    assert pipeline.blocking_reason(context.record, "reproduce") == "not run: test failed"


def test_steps_that_are_left_out_say_so(context: RunContext, replace_steps: Any) -> None:
    names = replace_steps({})
    run_all(context, only=["plan", "sync"], skip=["sync"])
    assert names == ["plan"]
    assert context.record.sync is not None
    assert context.record.sync.reason == "skipped by --only or --skip"


def test_one_step_alone_leaves_the_others_as_they_were(context: RunContext, replace_steps: Any) -> None:
    replace_steps({})
    assert run_step(context, "plan") == 0
    assert run_step(context, "sync", lambda context: ends(Outcome.FAILED, "sync")(context)) == 1
    written = json.loads((context.root / ".mlbutler" / "record.json").read_text())
    assert written["plan"]["outcome"] == "passed"
    assert written["sync"]["outcome"] == "failed"
    assert written["sync"]["duration"] >= 0
    assert written["sync"]["started"].endswith("+00:00")


@pytest.mark.parametrize(
    ("commit", "skip", "code", "outcome"),
    [
        (Outcome.PASSED, (), 0, Outcome.PASSED),
        (Outcome.SKIPPED, (), 1, Outcome.FAILED),  # a protected branch, say
        (Outcome.PASSED, ("commit",), 1, Outcome.PASSED),  # told as failed, and another command may still commit
        (Outcome.PASSED, ("commit", "report", "publish"), 0, Outcome.PASSED),
    ],
)
def test_what_check_left_to_the_run_is_judged_by_what_became_of_it(
    context: RunContext, replace_steps: Any, commit: Outcome, skip: tuple[str, ...], code: int, outcome: Outcome
) -> None:
    context.record = dataclasses.replace(
        context.record, change=dataclasses.replace(context.record.change, ci="jenkins", kind="pull-request")
    )
    stale = Finding(check="lock", subject="train", problem="p", remedy="dvc repro train")
    checked = CheckResult(outcome=Outcome.PASSED, reason="1 problem that this run fixes", pending=(stale,))
    replace_steps({"check": lambda context: checked, "commit": ends(commit, "commit")})
    assert run_all(context, skip=skip) == code
    check = read_kept_record(context).check
    assert check is not None
    assert (check.outcome, [found.subject for found in check.findings]) == (
        outcome, ["train"] if outcome is Outcome.FAILED else []
    )  # fmt: skip


def test_the_verb_commit_ends_red_where_the_branch_stays_stale(context: RunContext, replace_steps: Any) -> None:
    context.record = dataclasses.replace(
        context.record, change=dataclasses.replace(context.record.change, ci="jenkins", kind="pull-request")
    )
    stale = Finding(check="lock", subject="train", problem="p", remedy="dvc repro train")
    checked = CheckResult(outcome=Outcome.PASSED, reason="1 problem that this run fixes", pending=(stale,))
    replace_steps({"check": lambda context: checked, "reproduce": ends(Outcome.FAILED, "reproduce")})
    pipeline.resume(context)
    assert run_step(context, "check") == 0
    assert run_step(context, "reproduce") == 1
    assert pipeline.skip_step(context, "commit", pipeline.blocking_reason(context.record, "commit")) == 1
    assert run_step(context, "report") == 0  # what comes after it must still be reported
    check = read_kept_record(context).check
    assert check is not None
    assert check.reason == "still stale in dvc.lock: train (commit: not run: reproduce failed)"
