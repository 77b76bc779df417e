"""The comment while a run is under way."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from mlbutler.errors import ForgeError, MlbutlerError
from mlbutler.record import Outcome, PlanResult, Record, ReproduceResult, StageRun
from mlbutler.report import markdown
from mlbutler.reproduce.progress import StageProgress
from mlbutler.settings import ReportSettings
from mlbutler.steps import live
from mlbutler.steps.context import RunContext
from mlbutler.steps.live import Live, RunSnapshot, follow, running_report


@pytest.fixture
def record(working_state: Callable[..., RunContext], tmp_path: Path) -> Record:
    plan = PlanResult(outcome=Outcome.PASSED, reason="3 stale")
    return dataclasses.replace(working_state(tmp_path).record, plan=plan)


def under_way(*done: StageRun, running: str = "train") -> StageProgress:
    return StageProgress(head="0" * 40, started=1000.0, stages=3, running=running, done=done)


def test_it_says_how_far_the_run_is(record: Record) -> None:
    def first_line(run: RunSnapshot) -> str:
        return markdown.fit(running_report(run, ReportSettings(), now=1075.0), markdown.Limits()).splitlines()[2]

    done = StageRun(name="prepare", outcome="ran", duration=60.0)
    assert first_line(RunSnapshot(record, None)) == "**Running**: plan done"
    assert (
        first_line(RunSnapshot(record, under_way(done))) == "**Running**: stage train, 1 of 3 stages done, 1 min so far"
    )
    assert first_line(RunSnapshot(record, under_way(running=""))).startswith("**Running**: between two stages, 0 of 3")
    whole = markdown.fit(
        running_report(RunSnapshot(record, under_way(done)), ReportSettings(), now=0), markdown.Limits()
    )
    assert "| <code>prepare</code> | ran |" in whole
    assert "reproduce: passed" not in whole


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def posts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which stage each comment that was written named."""
    found: list[str] = []

    def post(self: Live, run: RunSnapshot) -> None:
        found.append(run.progress.running if run.progress else "")

    monkeypatch.setattr(Live, "_post", post)
    return found


def test_it_is_written_when_something_is_new_and_not_too_often(
    working_state: Callable[..., RunContext], record: Record, tmp_path: Path, posts: list[str]
) -> None:
    clock = Clock()
    one = Live(working_state(tmp_path), every=30, clock=clock)
    for now, running in ((0, "a"), (1, "a"), (2, "b"), (29, "c"), (31, "d"), (62, "d"), (100, "d"), (101, "e")):
        clock.now = now
        one.refresh(RunSnapshot(record, under_way(running=running)))
    assert posts == ["a", "d", "e"]
    assert one.written == 3


def test_a_forge_that_is_down_is_asked_ever_more_rarely_and_told_of_once(
    working_state: Callable[..., RunContext], record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    clock, asked = Clock(), []

    def post(self: Live, run: RunSnapshot) -> None:
        asked.append(clock.now)
        raise ForgeError("The forge is down.", "Wait.")

    monkeypatch.setattr(Live, "_post", post)
    one = Live(working_state(tmp_path), every=30, clock=clock)
    for now in range(0, 400, 10):
        clock.now = now
        one.refresh(RunSnapshot(record, under_way(running=str(now))))
    assert asked == [0, 60, 180]
    assert capsys.readouterr().out.count("No live comment for now: The forge is down.") == 1


def test_following_ends_with_the_stages(
    working_state: Callable[..., RunContext], record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    posts: list[str],
) -> None:  # fmt: skip
    over = dataclasses.replace(record, reproduce=ReproduceResult(outcome=Outcome.PASSED, reason="1 ran"))
    snapshots = iter(
        [
            RunSnapshot(record, None),
            RunSnapshot(record, None),
            RunSnapshot(record, under_way()),
            RunSnapshot(over, None),
        ]
    )
    monkeypatch.setattr(live, "snapshot", lambda context: next(snapshots))
    monkeypatch.setattr(live, "_INTERVAL", 0.0)
    assert follow(working_state(tmp_path), 0.0, timeout=60).written == 3
    assert posts == ["", "train", ""]


def test_following_does_not_wait_for_ever_for_stages_that_never_begin(
    working_state: Callable[..., RunContext], record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    posts: list[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(live, "snapshot", lambda context: RunSnapshot(record, None))
    monkeypatch.setattr(live, "_INTERVAL", 0.0)
    assert isinstance(follow(working_state(tmp_path), 0.0, timeout=0.01), Live)


def test_without_a_forge_it_says_so(working_state: Callable[..., RunContext], record: Record, tmp_path: Path) -> None:
    one = Live(working_state(tmp_path))
    one.refresh(RunSnapshot(record, None))
    assert isinstance(one.problem, MlbutlerError)
    assert "No forge" in one.problem.message
