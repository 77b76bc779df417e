"""Whose numbers may be judged: what became of the stages decides."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from mlbutler.comparison.snapshot import Snapshot, StageDefinition
from mlbutler.record import Cause, Outcome, PlanResult, ReproduceResult, StagePlan, StageRun, StageState
from mlbutler.steps.context import RunContext, StepOptions
from mlbutler.steps.stale_outputs import stale_outputs
from tests.project.conftest import full, master

__all__ = ["full", "master"]

STALE = (
    StagePlan(name="prepare", state=StageState.UP_TO_DATE), StagePlan(name="pick", state=StageState.UP_TO_DATE),
    StagePlan(name="train@1", state=StageState.STALE), StagePlan(name="train@2", state=StageState.STALE),
    StagePlan(name="final", state=StageState.STALE),
)  # fmt: skip


@pytest.fixture
def context(full: Path, working_state: Callable[..., RunContext]) -> RunContext:
    (full / "params.yaml").write_text("n: 6\nother: 1\n")
    state = working_state(full)
    state.options = StepOptions(pipeline=True)
    return state


def stale_after_plan(
    context: RunContext, *stages: StagePlan, outcome: Outcome = Outcome.PASSED, **became: str
) -> dict[str, str]:
    runs = tuple(StageRun(name=name.replace("_", "@"), outcome=how) for name, how in became.items())
    context.record = dataclasses.replace(
        context.record,
        plan=PlanResult(outcome=outcome, reason="", stages=stages),
        reproduce=ReproduceResult(outcome=Outcome.PASSED, reason="", stages=runs) if runs else None,
    )
    return dict(stale_outputs(context, Snapshot("")))


def test_what_did_not_run_is_from_before(context: RunContext) -> None:
    found = stale_after_plan(context, *STALE)
    assert set(found) == {"model1", "m1.json", "model2", "m2.json", "final.txt"}
    assert found["m1.json"] == "stage 'train@1' is stale and did not run: what is here is from before the change"


@pytest.mark.parametrize(
    ("became", "said"),
    [("failed", "'train@1' failed"), ("not reached", "'train@1' was not reached"),
     ("interrupted", "'train@1' was interrupted"), ("ran", None), ("restored", None), ("unchanged", None)],
)  # fmt: skip
def test_what_became_of_a_stage_decides(context: RunContext, became: str, said: str | None) -> None:
    found = stale_after_plan(context, *STALE, train_1=became, train_2="ran", final="ran")
    assert set(found) == ({"model1", "m1.json"} if said else set())
    assert said is None or said in found["m1.json"]


def test_a_stage_of_which_it_is_not_known_stays_so_whatever_dvc_looked_at(context: RunContext) -> None:
    cause = Cause(kind="data", subject="s3://bucket/x", detail="access denied")
    unknown = dataclasses.replace(STALE[2], state=StageState.NOT_KNOWN, causes=(cause,))
    cannot = dataclasses.replace(STALE[3], state=StageState.CANNOT_RUN)
    found = stale_after_plan(context, *STALE[:2], unknown, cannot, train_1="unchanged", final="ran")
    assert "not known whether stage 'train@1' is up to date (s3://bucket/x: access denied)" in found["m1.json"]
    assert "'train@2' is stale and cannot run" in found["m2.json"]


def test_stages_that_nobody_planned_are_looked_at(context: RunContext) -> None:
    assert set(stale_after_plan(context, STALE[0])) == {"model1", "m1.json", "model2", "m2.json", "final.txt"}
    assert "m1.json" in stale_after_plan(context, outcome=Outcome.ERROR)


def test_where_the_lock_cannot_be_read_of_no_output_is_it_known(context: RunContext) -> None:
    definitions = (StageDefinition("train", outputs={"m.json": "metric"}),)
    found = stale_outputs(context, Snapshot("", definitions=definitions, problem="dvc.lock cannot be read"))
    assert found == {"m.json": "dvc.lock cannot be read, so it is not known whether this was made by the code here"}
