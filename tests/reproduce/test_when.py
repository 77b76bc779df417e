"""The five choices, and the tokens."""

from __future__ import annotations

import pytest

from mlbutler.record import Change
from mlbutler.reproduce.when import decide_run
from mlbutler.settings import parse_settings


def change(kind: str, message: str = "", branch: str = "feature") -> Change:
    return Change(
        ci="jenkins", kind=kind, head="h", checkout="h", head_branch=branch, target_branch="main", message=message
    )


@pytest.mark.parametrize(
    ("when", "kind", "branch", "message", "runs"),
    [
        ("pull-request", "pull-request", "feature", "", True),
        ("pull-request", "branch", "feature", "", False),
        ("every-commit", "branch", "feature", "", True),
        ("every-commit", "branch", "feature", "x [skip experiment]", False),
        ("target-branch", "branch", "main", "", True),
        ("target-branch", "branch", "feature", "", False),
        ("target-branch", "pull-request", "feature", "", False),
        ("manual", "pull-request", "feature", "", False),
        ("message", "branch", "feature", "please [run] it", True),
        ("message", "branch", "feature", "please", False),
        ("manual", "local", "feature", "", True),
    ],
)
def test_choices(when: str, kind: str, branch: str, message: str, runs: bool) -> None:
    decision = decide_run(
        parse_settings(f"reproduce.when = '{when}'").reproduce, change(kind, message, branch), asked=False
    )
    assert decision.run is runs
    assert decision.reason


def test_asking_by_hand_wins_over_everything() -> None:
    assert decide_run(
        parse_settings("reproduce.when = 'manual'").reproduce, change("branch", "[skip experiment]"), asked=True
    ).run
