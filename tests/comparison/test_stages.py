"""Stage definitions on both sides."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mlbutler.comparison.snapshot import StageDefinition
from mlbutler.comparison.stages import compare_stages

TRAIN = StageDefinition(
    "train", "python train.py", dependencies=("src/train.py", "data"), params=("params.yaml:lr", "params.yaml:n"),
    outputs={"model": "out", "m.json": "metric, cache: false"},
)  # fmt: skip


def train_with(**fields: object) -> StageDefinition:
    return StageDefinition(**{**vars(TRAIN), **fields})


def test_what_a_stage_lost_is_named() -> None:
    [change] = compare_stages([TRAIN], [train_with(dependencies=("src/train.py",), params=("params.yaml:n",))])
    assert (change.stage, change.kind) == ("train", "changed")
    assert [(p.part, p.kind, p.name) for p in change.parts] == [
        ("dependency", "removed", "data"), ("param", "removed", "params.yaml:lr"),
    ]  # fmt: skip
    assert change.lost_inputs() == change.parts


def test_every_part_of_a_definition_is_compared() -> None:
    other = train_with(command="python train.py -v", directory="sub", frozen=True, always=True,
                       outputs={"model": "out", "m.json": "metric", "log": "out"})  # fmt: skip
    [change] = compare_stages([TRAIN], [other])
    found = {(p.part, p.name): (p.kind, p.old, p.new) for p in change.parts}
    assert found == {
        ("command", ""): ("changed", "python train.py", "python train.py -v"),
        ("wdir", ""): ("added", "", "sub"),
        ("frozen", ""): ("added", "", "true"),
        ("always_changed", ""): ("added", "", "true"),
        ("output", "m.json"): ("changed", "metric, cache: false", "metric"),
        ("output", "log"): ("added", "", "out"),
    }
    assert change.freezes()


def test_a_stage_of_another_name_that_makes_the_same_is_renamed() -> None:
    fit = train_with(name="fit", command="python fit.py")
    other = StageDefinition("report", "python report.py", outputs={"r.md": "out"})
    found = compare_stages([TRAIN], [fit, other])
    assert [(c.stage, c.kind, c.old_name) for c in found] == [("fit", "renamed", "train"), ("report", "added", "")]
    assert [(c.stage, c.kind) for c in compare_stages([TRAIN, other], [TRAIN])] == [("report", "removed")]


NAMES = st.sampled_from("abcd")
STAGES = st.dictionaries(
    NAMES,
    st.builds(StageDefinition, name=st.just(""), command=NAMES, frozen=st.booleans(),
              dependencies=st.lists(NAMES, max_size=3).map(tuple), params=st.lists(NAMES, max_size=2).map(tuple),
              outputs=st.dictionaries(NAMES, st.sampled_from(["out", "metric"]), max_size=2)),
).map(lambda found: [StageDefinition(**{**vars(stage), "name": name}) for name, stage in found.items()])  # fmt: skip


@settings(deadline=None)
@given(STAGES, STAGES)
def test_equal_sides_differ_in_nothing_and_every_stage_is_told_once(
    old: list[StageDefinition], new: list[StageDefinition]
) -> None:
    assert compare_stages(old, list(reversed(old))) == ()
    found = compare_stages(old, new)
    told = [change.stage for change in found if change.kind != "removed"]
    assert len(told) == len(set(told))
    names = {stage.name for stage in old}, {stage.name for stage in new}
    gone = {c.stage for c in found if c.kind == "removed"} | {c.old_name for c in found if c.kind == "renamed"}
    assert gone == names[0] - names[1]
