"""Gates on data, stages and predictions: the number found, the sentence, and what cannot be measured."""

from __future__ import annotations

from typing import Any

import pytest

from mlbutler.comparison.snapshot import ArtifactState, Snapshot, Stored
from mlbutler.errors import SettingsError
from mlbutler.gate.rules import judge
from mlbutler.gate.subjects import Evidence
from mlbutler.record import GateResult, PredictionChange, SliceChange, StageRun, Verdict
from mlbutler.settings import Gate
from mlbutler.settings.reading import _build_settings


def read_gate(values: dict[str, Any]) -> Gate:
    (gate,) = _build_settings("mlbutler.toml", {"gate": [values]}, {}).settings.gate
    return gate


def one(evidence: Evidence, **gate: Any) -> GateResult:
    (result,) = judge([read_gate(gate)], evidence)
    return result


def sides(old: ArtifactState | None, new: ArtifactState | None, **more: Any) -> Evidence:
    return Evidence(
        old=Snapshot("o", artifacts={old.path: old} if old else {}),
        new=Snapshot("", artifacts={new.path: new} if new else {}),
        **more,
    )


FOLDERS = sides(
    ArtifactState("data/raw", "1", size=2**30, files=1000, directory=True),
    ArtifactState("data/raw", "2", size=2**29, files=940, directory=True),
)


def test_fewer_files_than_allowed_fail_and_the_sentence_says_so() -> None:
    result = one(FOLDERS, data="data/raw", measure="files", max_drop_relative=0.05)
    assert result.outcome == "failed"
    assert result.sentence == "data/raw:files 1,000 → 940 (−60, limit 5 % of 1,000)"
    assert one(FOLDERS, data="data/raw/", measure="files", max_drop_relative=0.06).outcome == "passed"


def test_less_data_is_worse_unless_the_goal_says_otherwise() -> None:
    result = one(FOLDERS, data="data/raw", max_drop="256 MB")
    assert result.sentence == "data/raw:bytes 1.0 GB → 512.0 MB (−512.0 MB, limit 256.0 MB)"
    assert result.outcome == "failed"
    assert one(FOLDERS, data="data/raw", max_drop="256 MB", goal="minimize").outcome == "passed"


def test_a_model_may_not_grow_over_its_size() -> None:
    grown = sides(ArtifactState("model.pkl", "1", size=40 * 2**20), ArtifactState("model.pkl", "2", size=60 * 2**20))
    result = one(grown, data="model.pkl", max="50 MB")
    assert (result.outcome, result.sentence) == ("failed", "model.pkl:bytes is 60.0 MB (must be at most 50.0 MB)")
    assert one(grown, data="model.pkl", goal="minimize", max_drop_relative=0.5).outcome == "passed"
    assert one(grown, data="model.pkl", goal="minimize", max_drop_relative=0.4).outcome == "failed"


@pytest.mark.parametrize(
    ("evidence", "outcome", "words"),
    [
        (sides(ArtifactState("d", "1", size=1), None), "failed", "d is gone"),
        (sides(None, None), "failed", "is not an output of a stage"),
        (sides(None, ArtifactState("d", "1", size=5)), "not judged", "no number in the target"),
        (sides(ArtifactState("d", "1", size=5), ArtifactState("d", "2")), "failed", "not recorded"),
    ],
)
def test_data_that_cannot_be_measured_is_never_green(evidence: Evidence, outcome: str, words: str) -> None:
    result = one(evidence, data="d", max_drop=1)
    assert result.outcome == outcome
    assert words in result.sentence


def rows(old: dict[str, Stored], new: dict[str, Stored]) -> Evidence:
    return Evidence(old=Snapshot("o", tables=old), new=Snapshot("", tables=new))


def test_rows_are_summed_over_the_tables_of_a_directory() -> None:
    thousand, few = Stored(content=b"a\n" + b"1\n" * 1000, identity="x"), Stored(content=b"a\n1\n2\n")
    evidence = rows({"d/1.csv": thousand, "d/2.csv": thousand}, {"d/1.csv": thousand, "d/2.csv": few})
    result = one(evidence, data="d", measure="rows", max_drop_relative=0.05)
    assert (result.outcome, result.sentence) == ("failed", "d:rows 2,000 → 1,002 (−998, limit 5 % of 2,000)")


@pytest.mark.parametrize(
    ("old", "new", "outcome", "words"),
    [
        (Stored(content=b"a\n"), Stored(problem="in neither cache, mirror nor remote"), "failed", "in neither cache"),
        (Stored(problem="gone"), Stored(content=b"a\n1\n"), "not judged", "no number in the target"),
    ],
)
def test_rows_that_cannot_be_counted(old: Stored, new: Stored, outcome: str, words: str) -> None:
    result = one(rows({"d.csv": old}, {"d.csv": new}), data="d.csv", measure="rows", max_drop=5)
    assert result.outcome == outcome
    assert words in result.sentence


def test_the_same_data_is_not_read_to_say_that_nothing_is_lost() -> None:
    away = Stored(problem="in neither cache, mirror nor remote", identity="x")
    result = one(rows({"d/1.csv": away}, {"d/1.csv": away}), data="d", measure="rows", max_drop_relative=0.05)
    assert (result.outcome, result.sentence) == ("passed", "d is the same on both sides")
    assert one(rows({"d/1.csv": away}, {"d/1.csv": away}), data="d", measure="rows", min=5).outcome == "not judged"


def test_a_stage_is_measured_when_it_ran() -> None:
    ran = Evidence(before={"train": 600.0}, runs=[StageRun(name="train", outcome="ran", duration=1000.0)])
    result = one(ran, stage="train", max_drop_relative=0.5)
    assert result.outcome == "failed"
    assert result.sentence == "train:seconds 10 min → 17 min (+7 min, limit 50 % of 10 min)"
    assert one(ran, stage="train", max="15m").outcome == "failed"
    restored = Evidence(runs=[StageRun(name="train", outcome="restored")])
    assert one(restored, stage="train", max="15m").outcome == "not judged"
    assert one(restored, stage="tarin", max="15m").outcome == "failed"


def test_predictions_are_gated_by_slices_and_flips() -> None:
    part = SliceChange(column="c", value="v", examples=50, old_right=40, new_right=20, broken=20, fixed=0, p=1e-6,
                       adjusted=1e-5, worse=True)  # fmt: skip
    change = PredictionChange(file="p.csv", verdict=Verdict.WORSE, examples=100, old_right=90, new_right=70, broken=20,
                              slices=(part,))  # fmt: skip
    evidence = Evidence(predictions=[change])
    result = one(evidence, predictions="p.csv", measure="worse_slices", max=0)
    assert (result.outcome, result.sentence) == ("failed", "p.csv:worse_slices is 1 (must be at most 0)")
    assert one(evidence, predictions="p.csv", max_drop=0.1).sentence == "p.csv:right 0.9 → 0.7 (−0.2, limit 0.1)"
    same = Evidence(predictions=[PredictionChange(file="p.csv", verdict=Verdict.SAME, reason="the same file")])
    assert one(same, predictions="p.csv", max_drop=0.1).outcome == "passed"
    assert one(same, predictions="p.csv", min=0.1).outcome == "not judged"
    assert one(same, predictions="p.csv", measure="worse_slices", max=0).outcome == "passed"
    assert one(evidence, predictions="q.csv", max_drop=0.1).outcome == "failed"


@pytest.mark.parametrize(
    ("gate", "why"),
    [
        ({"max": 1}, "exactly one of"),
        ({"metric": "a", "data": "b", "max": 1}, "exactly one of"),
        ({"stage": "train", "measure": "rows", "max": 1}, "has no measure 'rows'"),
        ({"data": "d"}, "needs one of min, max"),
        ({"data": "d", "max": "many"}, "must be a number, a size"),
    ],
)
def test_a_gate_that_means_nothing_is_refused(gate: dict[str, Any], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        read_gate(gate)
