"""What DVC says of a dvc.yaml is the same with what we replace in it, and costs the same for each stage."""

from __future__ import annotations

from typing import Any

import pytest
import voluptuous
from dvc.schema import (
    COMPILED_MULTI_STAGE_SCHEMA,
    FOREACH_IN,
    SINGLE_PIPELINE_STAGE_SCHEMA,
    STAGE_DEFINITION,
    either_or,
)

from mlbutler.project import load, run_cache
from mlbutler.project.dvc_yaml import guard
from mlbutler.record import StageState
from tests.project.conftest import Plan

STAGES: tuple[Any, ...] = (
    {"cmd": "x"}, {"cmd": ["x", "y"], "deps": ["a"], "outs": ["b", {"c": {"cache": False}}]}, {}, {"deps": ["a"]}, None,
    [], "x", {"cmd": 1}, {"cmd": "x", "outs": [1]}, {"cmd": "x", "outs": [{"a": {"cahce": True}}]},
    {"cmd": "x", "no": 1},
    {"cmd": "x", "matrix": {"a": [1]}}, {"cmd": "x", "matrix": {"a": 1}}, {"foreach": [1], "do": {"cmd": "x"}},
    {"foreach": [1]}, {"do": {"cmd": "x"}}, {"foreach": 1, "do": {"cmd": "x"}}, {"foreach": [1], "do": {"cdm": "x"}},
    {"cmd": "x", "plots": [{"p": {"x": 1}}]}, {"cmd": "x", "frozen": "yes"}, {"foreach": [1], "cmd": "x"},
)  # fmt: skip


def validate(schema: Any, stage: Any) -> Any:
    try:
        return voluptuous.Schema(schema)({"one": stage})
    except voluptuous.MultipleInvalid as error:
        return sorted((str(fault), fault.path) for fault in error.errors)


@pytest.mark.parametrize("stage", STAGES, ids=str)
def test_a_stage_is_judged_as_dvc_judges_it(stage: Any) -> None:
    guard()
    theirs = {str: either_or(STAGE_DEFINITION, FOREACH_IN, ["foreach", "do"])}
    assert validate(SINGLE_PIPELINE_STAGE_SCHEMA, stage) == validate(theirs, stage)


def test_what_a_stage_may_hold_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    guard()
    compiled = []
    theirs: Any = voluptuous.Schema._compile_dict

    def compile_dict(self: Any, schema: Any) -> Any:
        compiled.append(schema)
        return theirs(self, schema)

    monkeypatch.setattr(voluptuous.Schema, "_compile_dict", compile_dict)
    for number in (1, 20):
        compiled.clear()
        COMPILED_MULTI_STAGE_SCHEMA({"stages": {f"s{i}": {"cmd": "x", "deps": ["a"]} for i in range(number)}})
    assert compiled == []


def test_a_stage_is_looked_up_by_its_name(bare: Any, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = "".join(f"  s{i}: {{cmd: echo {i} > o{i}, deps: [params.yaml], outs: [o{i}]}}\n" for i in range(30))
    (bare / "dvc.yaml").write_text(f"stages:\n{stages}")
    looked_at = []
    theirs = load.address

    def address(repo: Any, stage: Any) -> str:
        looked_at.append(stage)
        return theirs(repo, stage)

    monkeypatch.setattr(run_cache, "address", address)
    found = plan(bare)
    assert sum(stage.state is StageState.STALE for stage in found.values()) >= 30
    assert len(looked_at) == len(set(map(str, looked_at))) >= 30
