"""Which parameters differ from dvc.lock, value by value, and which DVC never finds equal again."""

from __future__ import annotations

import datetime
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbutler.project.model import ParamsFile
from mlbutler.project.param_causes import missing_params, not_recordable, param_causes


def file(recorded: Any, current: Any, names: tuple[str, ...] = (), **more: Any) -> ParamsFile:
    return ParamsFile(path="params.yaml", names=names, recorded=recorded, current=current, **more)


def details_by_subject(params: ParamsFile) -> dict[str, str]:
    return {cause.subject: cause.detail for cause in param_causes(params)}


def test_a_group_is_told_value_by_value() -> None:
    old = {"train": {"lr": 0.1, "layers": [8, 8], "note": "x" * 100, "gone": 1}}
    new = {"train": {"lr": 0.2, "layers": [8, 9], "note": "x" * 100, "added": True}}
    assert details_by_subject(file(old, new, ("train",))) == {
        "params.yaml:train.lr": "0.1 → 0.2",
        "params.yaml:train.layers.1": "8 → 9",
        "params.yaml:train.gone": "removed",
        "params.yaml:train.added": "added: true",
    }


def test_long_texts_are_shown_from_where_they_differ() -> None:
    [detail] = details_by_subject(file({"a": "x" * 200 + "old"}, {"a": "x" * 200 + "new"})).values()
    assert detail == '...xxxxxxxxxxxxold" → ...xxxxxxxxxxxxnew"'


def test_many_differences_are_counted() -> None:
    causes = param_causes(
        file({"g": {str(n): n for n in range(50)}}, {"g": {str(n): n + 1 for n in range(50)}}, ("g",))
    )
    assert len(causes) == 21
    assert (causes[-1].subject, causes[-1].detail) == ("params.yaml:g", "30 more values differ")


def test_an_empty_group_in_place_of_another_value_is_a_difference() -> None:
    assert details_by_subject(file({"g": {}}, {"g": []}, ("g",))) == {"params.yaml:g": "{} → []"}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (math.nan, float("nan"), "NaN never equals itself"),
        ([1, [2, 3]], (1, (2, 3)), "a tuple inside another value"),
        ({"a": [1, 2]}, {"a": (1, 2)}, "a tuple inside another value"),
    ],
)
def test_what_dvc_never_finds_equal_again_says_so_and_what_to_write(old: Any, new: Any, reason: str) -> None:
    (cause,) = param_causes(file({"n": old}, {"n": new}, ("n",)))
    assert cause.kind == "always"
    assert reason in cause.detail
    assert cause.remedy.startswith("Write ")


def test_a_nan_beside_a_change_is_a_change() -> None:
    (cause,) = param_causes(file({"g": {"a": math.nan, "b": 1}}, {"g": {"a": float("nan"), "b": 2}}, ("g",)))
    assert (cause.kind, cause.subject, cause.detail) == ("param", "params.yaml:g.b", "1 → 2")


def test_a_path_that_dvc_writes_otherwise_says_so() -> None:
    (cause,) = param_causes(file({"k": 1}, {"k": 1}, written="./params.yaml"))
    assert (cause.kind, cause.remedy) == ("always", "Write params.yaml instead of ./params.yaml in dvc.yaml.")


def test_what_keeps_a_stage_from_running() -> None:
    def kinds_and_subjects(params: ParamsFile) -> list[tuple[str, str]]:
        return [(cause.kind, cause.subject) for cause in (*missing_params(params, "dvc.yaml"), *not_recordable(params))]

    assert kinds_and_subjects(file({}, None)) == [("missing", "params.yaml")]
    assert kinds_and_subjects(file({}, {"a": 1}, ("a", "b"))) == [("missing", "params.yaml:b")]
    assert kinds_and_subjects(file({}, None, problem="bad")) == [("unreadable", "params.yaml")]
    day = {"a": {"when": [datetime.date(2024, 1, 1)]}, "b": 1}
    assert kinds_and_subjects(file({}, day)) == [("unreadable", "params.yaml:a")]
    assert kinds_and_subjects(file({}, {"a": 1})) == []
    (cause,) = missing_params(file({}, {"a": 1}, ("./my.yaml:",)), "dvc.yaml")
    assert "for all of that file write `./my.yaml: null`" in cause.remedy


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.sampled_from(["", "a", "b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y", "1"]), inner, max_size=3),
    max_leaves=6,
)


@given(old=VALUES, new=VALUES)
@settings(deadline=None)
def test_there_is_a_cause_exactly_where_dvc_sees_a_difference(old: Any, new: Any) -> None:
    causes = param_causes(file({"p": old}, {"p": new}, ("p",)))
    assert bool(causes) == bool(old != new)
    assert len({(cause.subject, cause.detail) for cause in causes}) == len(causes)
    for cause in causes:
        before, arrow, after = cause.detail.partition(" → ")
        assert not arrow or before != after or cause.kind == "always"
