"""What a plan says that the run is going to cost."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlbutler.commands.run import RunOptions, run
from mlbutler.console import Console
from mlbutler.project.opened import OpenedProject
from mlbutler.project.times import write_times
from mlbutler.record import Cost, Outcome, PlanResult, StagePlan, StageState
from mlbutler.record_file import read_record, write_record
from mlbutler.steps import plan, push, sync
from mlbutler.steps.context import RunContext
from tests.steps.test_push import new_model, trained_tree
from tests.steps.test_sync import LOGIN
from tests.store.dvc_world import clone, copy_remote, dvc
from tests.store.world import Remote

State = Callable[..., RunContext]


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Remote]:
    server = Remote(copy_remote(tmp_path / "remote"), auth="basic")
    yield server
    server.close()


@pytest.fixture
def root(tmp_path: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = clone(tmp_path / "clone", remote.url)
    monkeypatch.chdir(directory)
    (directory / "params.yaml").write_text("rate: 2\n")
    return directory


def run_plan(context: RunContext) -> RunContext:
    context.record = dataclasses.replace(context.record, plan=plan.run(context))
    return context


def test_what_is_expected_is_what_comes(root: Path, working_state: State, tmp_path: Path) -> None:
    settings = f"data.mirror = '{tmp_path / 'mirror'}'"
    context = run_plan(working_state(root, settings, LOGIN))
    assert context.record.plan is not None
    expected = context.record.plan.expected
    assert expected is not None
    moved = sync.run(context).moved
    files = sum(item.bytes for item in moved if item.place == "origin")
    manifest = sum(path.stat().st_size for path in (root / ".dvc" / "cache").rglob("*.dir"))
    assert expected.download_bytes == files - manifest  # DVC records the size of a directory's files alone
    assert expected.untimed == ("train",)
    assert f"{expected.download_bytes} B to download" in context.record.plan.reason
    again = plan.run(context)  # now that all is here
    assert again.expected == expected
    fresh = plan.run(working_state(clone(tmp_path / "other", ""), settings, LOGIN))
    assert fresh.expected is None  # nothing is stale there


def test_what_the_mirror_holds_is_not_to_be_downloaded(
    root: Path, remote: Remote, working_state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = f"data.mirror = '{tmp_path / 'mirror'}'"
    sync.run(run_plan(working_state(root, settings, LOGIN)))
    other = clone(tmp_path / "other", remote.url)
    monkeypatch.chdir(other)
    (other / "params.yaml").write_text("rate: 3\n")
    found = plan.run(working_state(other, settings, LOGIN)).expected
    assert found is not None
    assert found.download_bytes == 0


def test_times_of_earlier_builds_are_summed(root: Path, working_state: State) -> None:
    context = working_state(root, "", LOGIN)
    write_times(root, None, context.record.change.repository, context.prefix, {"train": 90.0})
    found = plan.run(context)
    assert found.expected == Cost(download_bytes=found.stages[-1].need_bytes, seconds=90.0)
    assert "about 2 min to run" in found.reason


def test_what_a_build_on_another_agent_ran_is_restored_from_the_remote(
    working_state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = copy_remote(tmp_path / "storage")
    push.run(working_state(trained_tree(tmp_path, str(storage), monkeypatch)))
    other = clone(tmp_path / "other", str(storage))
    monkeypatch.chdir(other)
    (other / "params.yaml").write_text("rate: 2\n")
    context = run_plan(working_state(other))
    assert context.record.plan is not None
    assert {stage.name: str(stage.state) for stage in context.record.plan.stages}["train"] == "restorable"
    assert sync.run(context).outcome is Outcome.PASSED
    dvc(other, "repro", "-q", "--allow-missing")
    assert not (other / "ran.log").exists()
    assert (other / "model.txt").read_bytes() == (tmp_path / "trained" / "model.txt").read_bytes()


def test_an_entry_whose_outputs_are_nowhere_is_no_run(
    working_state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = copy_remote(tmp_path / "storage")
    root = trained_tree(tmp_path, str(storage), monkeypatch)
    push.run(working_state(root))
    (storage / new_model(root).key).unlink()
    other = clone(tmp_path / "other", str(storage))
    monkeypatch.chdir(other)
    (other / "params.yaml").write_text("rate: 2\n")
    found = plan.run(working_state(other))
    assert {stage.name: str(stage.state) for stage in found.stages}["train"] == "stale"


@pytest.mark.parametrize("verbose", [False, True])
def test_stages_stand_below_those_that_they_follow(verbose: bool, capsys: pytest.CaptureFixture[str]) -> None:
    fine, stale = StageState.UP_TO_DATE, StageState.STALE
    stages = [
        StagePlan(name="prepare", state=fine), StagePlan(name="train", state=stale, after=("prepare",)),
        StagePlan(name="test", state=fine, after=("prepare",)),
        StagePlan(name="evaluate", state=stale, after=("prepare", "train")),
        StagePlan(name="report", state=stale, after=("evaluate", "test")),
    ]  # fmt: skip
    plan.show_plan(Console(verbose=verbose), stages)
    lines = capsys.readouterr().out.splitlines()
    if verbose:
        assert lines == [
            "= prepare: up to date", "! └ train: stale", "= └ test: up to date", "!   └ evaluate: stale",
            "!     └ report: stale",
        ]  # fmt: skip
    else:
        assert lines == ["! train: stale", "! └ evaluate: stale", "!   └ report: stale"]


def test_a_second_run_on_a_laptop_takes_the_plan_of_the_first_where_that_still_holds(
    tmp_path: Path, remote: Remote, working_state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = clone(tmp_path / "clone", remote.url)
    monkeypatch.chdir(root)
    opened: list[object] = []
    monkeypatch.setattr(OpenedProject, "_open_repo", _noting(OpenedProject._open_repo, opened))

    def again() -> tuple[PlanResult | None, bool]:
        opened.clear()
        assert run(root, Console(quiet=True), RunOptions(only=("plan",))) == 0
        record = read_record(root / ".mlbutler" / "record.json")
        assert record is not None
        return record.plan and dataclasses.replace(record.plan, started="", duration=0.0), bool(opened)

    first, _ = again()
    for _ in range(5):  # what was written a moment before it was looked at is looked at once more
        found, looked = again()
        if not looked:
            break
    assert (found, looked) == (first, False)
    record = read_record(root / ".mlbutler" / "record.json")
    assert record is not None
    for ci, counts in (("local", True), ("jenkins", False)):  # there, code of the project may have written it
        context = working_state(root, "", LOGIN)
        context.record = dataclasses.replace(record, change=dataclasses.replace(record.change, ci=ci))
        write_record(context.record_path, context.record, context.console.redactor)
        assert (plan.earlier(context) is not None) == counts
    (root / "params.yaml").write_text("rate: 2\n")
    found, looked = again()
    assert found is not None
    assert (looked, found.stages[-1].state) == (True, StageState.STALE)
    (root / ".mlbutler" / "record.json").write_text("{}")
    assert again()[1]


def _noting(call: Callable[..., Any], calls: list[object]) -> Callable[..., Any]:
    def noting(*words: Any) -> Any:
        calls.append(call)
        return call(*words)

    return noting
