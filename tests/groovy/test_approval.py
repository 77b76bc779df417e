"""A fork's build has no credential, until the forge says that this very commit was approved."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.groovy.forms import FORMS, GENERATED, PLAN
from tests.groovy.jenkins import needs_groovy
from tests.groovy.stand_in import Done, stand_in

pytestmark = needs_groovy

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def bound(done: Done) -> list[tuple[str, Iterable[str]]]:
    """The commands of mlbutler's with the credentials that each had."""
    ran = [event for event in done.built.events if event["step"] == "sh" and "mlbutler " in event["script"]]
    return [(event["script"], event["bound"]) for event in ran]


def of_a_fork(directory: Path, form: str, said: str) -> Done:
    done = stand_in(directory, FORMS[form], plan=PLAN, environ={"CHANGE_FORK": "theirs/x", "APPROVAL": said})
    assert done.built.result == "SUCCESS", done.built.log[-3000:]
    order = [call.partition(" @")[0] for call in done.begun]
    assert order.index("approve --check") < min(order.index(name) for name in ("plan", "test", "lint"))
    return done


@pytest.mark.parametrize("form", FORMS)
def test_an_approved_commit_of_a_fork_has_credentials_and_its_own_code_has_none(tmp_path: Path, form: str) -> None:
    found = bound(of_a_fork(tmp_path / "build", form, f"{COMMIT} ada"))
    without = [name for name in ("mlbutler test", "mlbutler lint", "mlbutler reproduce") if dict(found)[name] == []]
    assert len(without) == 3
    assert "mlbutler-dvc" in dict(found)["mlbutler sync"]
    assert "mlbutler-forge" in dict(found)["mlbutler publish"]


@pytest.mark.parametrize("form", FORMS)
def test_a_fork_that_nobody_approved_has_none(tmp_path: Path, form: str) -> None:
    asked, *others = bound(of_a_fork(tmp_path / "build", form, ""))
    assert ("approve --check" in asked[0], asked[1]) == (True, ["mlbutler-forge"])
    assert [one for one in others if one[1] != []] == []


@pytest.mark.parametrize("said", [f"{COMMIT} ada; rm -rf /", f"x {COMMIT} ada", f"{COMMIT} ada\n{COMMIT} eve"])
def test_what_is_no_approval_gives_none(tmp_path: Path, said: str) -> None:
    _, *others = bound(of_a_fork(tmp_path / "build", GENERATED, said))
    assert [one for one in others if one[1] != []] == []


@pytest.mark.parametrize("form", FORMS)
def test_nobody_is_asked_about_a_change_of_ours(tmp_path: Path, form: str) -> None:
    done = stand_in(tmp_path / "build", FORMS[form], plan=PLAN)
    assert "approve --check" not in done.begun
