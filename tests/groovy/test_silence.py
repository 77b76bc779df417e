"""A process or an agent that died without a word: the limit on silence around each command, and the second start."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from mlbutler.record import REPORTING_STEPS
from mlbutler.run_table import NAMES
from tests.groovy.forms import FORMS, LIBRARY, PLAN, SEVERAL_AGENTS, UNSTABLE
from tests.groovy.jenkins import needs_groovy
from tests.groovy.stand_in import Done, stand_in

pytestmark = needs_groovy

ENDS = {*FORMS} - {SEVERAL_AGENTS}


def places(done: Done, script: str) -> list[str]:
    """The workspaces in which the command came to an end, or in which it never ended."""
    return [
        event["workspace"]
        for event in done.built.events
        if event["step"] == "silence" or (event["step"] == "sh" and event["script"] == script)
    ]


@pytest.mark.parametrize("form", sorted(ENDS))
@pytest.mark.parametrize("stage", ["plan", "reproduce"])
def test_what_an_agent_was_doing_when_it_died_is_started_on_another(tmp_path: Path, form: str, stage: str) -> None:
    done = stand_in(tmp_path / "build", FORMS[form], plan=PLAN, silent=stage, dies=True)
    assert done.built.result == "SUCCESS", done.built.log[-3000:]
    assert places(done, f"mlbutler {stage}") == ["workspace-1", "workspace-2"]
    last = done.built.event("mlbutler publish")
    assert last["workspace"] == "workspace-2"
    assert [done.begun.count(name) for name in REPORTING_STEPS] == [1, 1]


def test_a_stage_s_agent_that_dies_is_replaced_for_that_stage_alone(tmp_path: Path) -> None:
    done = stand_in(tmp_path / "build", FORMS[SEVERAL_AGENTS], plan=PLAN, silent="one", dies=True)
    assert done.built.result == "SUCCESS", done.built.log[-3000:]
    begun = Counter(done.begun)
    assert begun["reproduce one @one"] == 1
    assert {begun[name] for name in NAMES} == {1}
    assert done.built.event("mlbutler push")["workspace"] == "workspace-4"  # 1 plans, 2 dies, 3 takes over


@pytest.mark.parametrize("form", sorted(ENDS))
def test_a_process_that_is_silent_on_an_agent_that_answers_is_started_there_again(tmp_path: Path, form: str) -> None:
    done = stand_in(tmp_path / "build", FORMS[form], plan=PLAN, silent="reproduce")
    assert done.built.result == "SUCCESS", done.built.log[-3000:]
    assert places(done, "mlbutler reproduce") == ["workspace-1", "workspace-1"]


@pytest.mark.parametrize("form", sorted(ENDS))
def test_a_second_silence_ends_the_step_and_the_others_are_taken(tmp_path: Path, form: str) -> None:
    done = stand_in(tmp_path / "build", FORMS[form], plan=PLAN, silent="reproduce", silences=2)
    assert done.built.result == "ABORTED", done.built.log[-3000:]
    assert "reproduce" not in done.begun
    assert {name for name in NAMES if name not in ("reproduce", "report")} <= set(done.begun)


@pytest.mark.parametrize("form", sorted(ENDS))
def test_a_command_that_fails_or_is_aborted_is_not_repeated(tmp_path: Path, form: str) -> None:
    failed = stand_in(tmp_path / "failed", FORMS[form], ["reproduce"], PLAN)
    assert failed.begun.count("reproduce") == 1
    aborted = stand_in(tmp_path / "aborted", FORMS[form], plan=PLAN, abort="reproduce", aborted_by=tmp_path)
    assert aborted.built.result == "ABORTED", aborted.built.log[-3000:]
    assert aborted.begun.count("reproduce") <= 1
    assert [name for name in ("push", "compare", "commit") if name in aborted.begun] == []


@pytest.mark.parametrize("script", [*FORMS.values(), *UNSTABLE.values()])
def test_every_command_of_mlbutler_has_the_limit_around_it(tmp_path: Path, script: str) -> None:
    done = stand_in(tmp_path / "build", script, plan=PLAN)
    commands = [event for event in done.built.events if event["step"] == "sh" and "mlbutler" in event["script"]]
    assert len(commands) >= len(NAMES)
    assert {event["script"] for event in commands if not event["silence"]} == set()


def test_an_agent_that_dies_twice_ends_the_build(tmp_path: Path) -> None:
    done = stand_in(tmp_path / "build", FORMS[LIBRARY], plan=PLAN, silent="reproduce", silences=2, dies=True)
    assert done.built.result == "FAILURE", done.built.log[-3000:]
    assert done.begun[-2:] == ["report", "publish"]  # from a third one
