"""What `mlbutler compare` shows on a terminal of eighty columns."""

from __future__ import annotations

import pytest

from mlbutler.console import Console
from mlbutler.record import (
    CompareResult,
    DefinitionChange,
    GateResult,
    MetricChange,
    Outcome,
    StageDefinitionChange,
    Verdict,
)
from mlbutler.secrets import Redactor
from mlbutler.settings import ReportSettings
from mlbutler.steps.compare_screen import show_comparison


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")


def change(name: str, old: float | str, new: float | str, verdict: Verdict = Verdict.WORSE) -> MetricChange:
    by = new - old if isinstance(old, float) and isinstance(new, float) else None
    share = None if by is None or isinstance(old, str) else by / old
    return MetricChange(
        file="metrics.json", name=name, old=old, new=new, difference=by, relative=share, verdict=verdict
    )


def compare_result(*metrics: MetricChange, **more: object) -> CompareResult:
    return CompareResult(outcome=Outcome.PASSED, reason="", old_rev="a" * 40, metrics=metrics, **more)  # type: ignore[arg-type]


def show(capsys: pytest.CaptureFixture[str], result: CompareResult, settings: ReportSettings | None = None) -> str:
    show_comparison(Console(redactor=Redactor(("hunter2hunter2",))), result, settings or ReportSettings())
    return capsys.readouterr().out


@pytest.mark.usefixtures("narrow")
def test_long_names_and_numbers_are_whole(capsys: pytest.CaptureFixture[str]) -> None:
    name = "evaluation.validation.segments.premium_customers.balanced_accuracy"
    out = show(capsys, compare_result(change(name, 0.8123456789123456, 0.7987654321987654)))
    assert max(map(len, out.splitlines())) <= 80
    first = "".join(line[1:].split("│")[0].strip() for line in out.splitlines() if line.startswith("│"))
    assert first == name
    for said in ("0.81235", "0.79877", "−0.01358 (−1.7 %)", "worse"):
        assert said in out


@pytest.mark.usefixtures("narrow")
def test_what_got_worse_comes_first_and_the_rest_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    same = [change(f"m{number:03}", 1.0, 1.0, Verdict.SAME) for number in range(60)]
    out = show(capsys, compare_result(*same, change("z", 1.0, 0.5)))
    rows = [line.split("│")[1].strip() for line in out.splitlines() if line.startswith("│")]
    assert rows[0] == "z"
    assert "11 more metrics are in the report" in out
    out = show(capsys, compare_result(*same, change("z", 1.0, 0.5)), ReportSettings(hide_unchanged=True, precision=3))
    assert "60 unchanged metrics not shown" in out
    assert "m000" not in out


@pytest.mark.usefixtures("narrow")
def test_hostile_names_do_nothing_and_secrets_are_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    gate = GateResult(metric="a", rule="min 1", level="fail", outcome="failed", sentence="[red]x[/red]\x1b[2J is 0")
    out = show(capsys, compare_result(change("[bold]a\x1b[31m", "hunter2hunter2", "b\u202e"), gates=(gate,)))
    assert "[bold]a\N{REPLACEMENT CHARACTER}[31m" in out
    assert "gate failed: [red]x[/red]\N{REPLACEMENT CHARACTER}[2J is 0" in out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "hunter2" not in out


def test_of_long_commands_it_shows_what_differs(capsys: pytest.CaptureFixture[str]) -> None:
    command = "python train.py " + "--option value " * 30
    parts = (DefinitionChange(part="command", kind="changed", old=command + "--lr 1", new=command + "--lr 2"),)
    result = compare_result(stages=(StageDefinitionChange(stage="train", kind="changed", parts=parts),))
    said = " ".join(show(capsys, result).split())
    assert "stage train: command changed: ... value --lr 1 → ... value --lr 2" in said
