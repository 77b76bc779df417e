"""What the generated Jenkinsfile and the shared library run after a failure, held to the one table of the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlbutler.record import REPORTING_STEPS
from mlbutler.run_table import NAMES, STEPS, run_after
from tests.groovy.forms import FORMS, PLAN, SEVERAL_AGENTS, UNSTABLE
from tests.groovy.jenkins import needs_groovy
from tests.groovy.stand_in import Done, stand_in

pytestmark = needs_groovy

JUDGING = [name for name in NAMES if name not in REPORTING_STEPS]


def called(done: Done) -> list[str]:
    """The steps that were called, without what the library asks besides and runs on other agents."""
    return [call for call in done.begun if " " not in call]


def holds_to_the_table(done: Done) -> None:
    """Every step was called, after all that it looks at: its verb does nothing where the table says so."""
    order = called(done)
    assert sorted(order) == sorted(NAMES)
    for step in STEPS:
        before = set(order[: order.index(step.name)])
        assert before >= {*step.needs, *step.after}
        assert step.name not in REPORTING_STEPS or before >= set(JUDGING)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("failing", ["", *JUDGING])
def test_after_each_failure_the_table_decides_what_follows(tmp_path: Path, form: str, failing: str) -> None:
    done = stand_in(tmp_path / "build", FORMS[form], [failing], PLAN)
    holds_to_the_table(done)
    assert done.built.result == ("FAILURE" if failing else "SUCCESS"), done.built.log[-3000:]
    stages = [call for call in done.begun if call.endswith("@one")]
    allowed = not failing or failing not in NAMES[: NAMES.index("reproduce")] or "reproduce" in run_after(failing)
    on_an_agent = form == SEVERAL_AGENTS and (allowed or failing == "sync")  # of which the stage's agent knows nothing
    assert stages == (["sync one @one", "reproduce one @one", "push @one"] if on_an_agent else [])


@pytest.mark.parametrize("form", UNSTABLE)
def test_a_failed_gate_that_makes_the_build_unstable_is_followed_by_the_same(tmp_path: Path, form: str) -> None:
    done = stand_in(tmp_path / "build", UNSTABLE[form], ["compare"], PLAN)
    holds_to_the_table(done)
    assert done.built.result == "UNSTABLE", done.built.log[-3000:]
