"""Metrics, params, plots and data of two sides, and the verdict."""

from __future__ import annotations

import json
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbutler.comparison.comparison import Comparison, compare_snapshots, conclude, without_stale_outputs
from mlbutler.comparison.metrics import guess_goal
from mlbutler.comparison.plots import MOST_POINTS, thinned
from mlbutler.comparison.snapshot import (
    ArtifactState,
    DirectoryEntry,
    PlotDefinition,
    Snapshot,
    Source,
    StageParams,
    Stored,
)
from mlbutler.gate.rules import judge
from mlbutler.gate.subjects import Evidence
from mlbutler.record import Verdict
from mlbutler.settings import Gate, Predictions
from tests.comparison.test_images import picture


def side(metrics: object = None, params: str = "", **more: object) -> Snapshot:
    found = {} if metrics is None else {"m.json": Source(json.dumps(metrics).encode())}
    given_params = {"params.yaml": Source(params.encode())} if params else {}
    return Snapshot("r", metrics=found, params=given_params, **more)  # type: ignore[arg-type]


def verdicts(comparison: Comparison) -> dict[str, Verdict]:
    return {metric.name: metric.verdict for metric in comparison.metrics}


def test_a_verdict_follows_the_direction_never_the_sign() -> None:
    found = compare_snapshots(side({"accuracy": 0.9, "loss": 1.0}), side({"accuracy": 0.8, "loss": 0.5}), {})
    assert verdicts(found) == {"accuracy": Verdict.WORSE, "loss": Verdict.BETTER}


def test_a_goal_goes_before_the_name() -> None:
    found = compare_snapshots(side({"loss": 1.0}), side({"loss": 0.5}), {"m.json:loss": "maximize"})
    assert verdicts(found) == {"loss": Verdict.WORSE}


@pytest.mark.parametrize(
    ("old", "new", "verdict", "reason"),
    [
        ({}, {"accuracy": 1}, Verdict.NEW, "not measured in the target"),
        ({"accuracy": 1}, {}, Verdict.GONE, "not measured any more"),
        ({"accuracy": 1}, {"accuracy": float("nan")}, Verdict.NOT_JUDGED, "NaN here"),
        ({"accuracy": "high"}, {"accuracy": 1}, Verdict.NOT_JUDGED, "not a number in the target"),
        ({"accuracy": 1}, {"accuracy": True}, Verdict.NOT_JUDGED, "true or false, not a number here"),
        ({"accuracy": False}, {"accuracy": 0}, Verdict.NOT_JUDGED, "true or false, not a number in the target"),
        ({"speed": 1}, {"speed": 2}, Verdict.NOT_JUDGED, "no direction is known"),
        ({"accuracy": 1}, {"accuracy": 1}, Verdict.SAME, ""),
    ],
)
def test_every_odd_pair_has_a_verdict_and_a_reason(old: object, new: object, verdict: Verdict, reason: str) -> None:
    metric = compare_snapshots(side(old), side(new), {}).metrics[0]
    assert metric.verdict is verdict
    assert reason in metric.reason


def test_long_texts_that_begin_alike_differ() -> None:
    old, new = (side(params=f"prompt: {'x' * 2000}{end}\n") for end in "ab")
    changed = compare_snapshots(old, new, {}).params
    assert [(param.name, param.kind) for param in changed] == [("prompt", "changed")]
    assert changed[0].old != changed[0].new


def test_a_name_that_stands_for_two_values_is_told() -> None:
    twice = b'{"accuracy": 0.5, "accuracy": 0.9, "a.b": 1, "a": {"b": 2}}'
    old, new = side({"accuracy": 0.5}), Snapshot("", metrics={"m.json": Source(twice)})
    found = compare_snapshots(old, new, {})
    said = "here: 'accuracy' is there more than once (and 1 more such names): the last one counts"
    assert ("m.json", said) in found.not_judged
    assert {metric.name: metric.new for metric in found.metrics} == {"accuracy": 0.9, "a.b": 2}


def test_params_say_which_stages_they_reach() -> None:
    stages = (StageParams("train", {"params.yaml": ("train",)}), StageParams("other", {"params.yaml": ("seed",)}))
    old = side(params="train: {lr: 1, old: 2}\nsame: 3\n")
    new = side(params="train: {lr: 2, new: x}\nsame: 3\n", stage_params=stages)
    found = {
        param.name: (param.kind, param.old, param.new, param.stages) for param in compare_snapshots(old, new, {}).params
    }
    assert found == {
        "train.lr": ("changed", "1", "2", ("train",)),
        "train.new": ("added", "", "x", ("train",)),
        "train.old": ("removed", "2", "", ("train",)),
    }


def _png(seed: int, size: int) -> bytes:
    """A whole picture of one pixel, with `size` bytes more in a chunk that nobody shows."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    pixel = chunk(b"IDAT", zlib.compress(bytes([0, seed])))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"paDd", bytes(size)) + pixel + chunk(b"IEND", b"")


def test_of_many_pictures_those_that_changed_have_room_first() -> None:
    def picture(seed: int, size: int = 1_000_000) -> Source:
        return Source(_png(seed, size))

    names = [f"{n:02}.png" for n in range(12)]
    plots = tuple(PlotDefinition(id=name, files=(name,)) for name in [*names, "small.png"])
    small = {"small.png": picture(1, 1_000)}
    old = side(plots=plots, plot_data=small | {name: picture(1) for name in names})
    new = side(plots=plots, plot_data=small | {name: picture(2 if name > "09.png" else 1) for name in names})
    found = compare_snapshots(old, new, {})
    shown = [plot.file for plot in found.plots if plot.kind == "image"]
    assert len(shown) == 10
    assert {"10.png", "11.png", "small.png"} < set(shown)
    assert ("09.png", "the pictures before it have 24 MB: not shown") in found.not_judged


def test_a_curve_that_broke_looks_so() -> None:
    def curve(*values: object) -> Snapshot:
        rows = "".join(f"{step},{value}\n" for step, value in enumerate(values))
        plots = (PlotDefinition(id="l.csv", files=("l.csv",), x="step", y={"l.csv": ("loss",)}),)
        return side(plots=plots, plot_data={"l.csv": Source(f"step,loss\n{rows}".encode())})

    found = compare_snapshots(curve(3, 2, "", 1), curve(3, "nan", 2, "inf"), {})
    (plot,) = found.plots
    assert plot.old == ((0.0, 3.0), (1.0, 2.0), (3.0, 1.0))  # an empty cell was not measured
    assert plot.new == ((0.0, 3.0), (1.0, "NaN"), (2.0, 2.0), (3.0, "Infinity"))
    assert ("l.csv", "2 of 4 values of 'loss' here are NaN or infinite") in found.not_judged
    long = compare_snapshots(curve(*[1] * 5000), curve(*[1] * 777, "nan", *[1] * 5000), {}).plots[0]
    assert (777.0, "NaN") in long.new
    assert len(long.new) <= MOST_POINTS + 1


def test_data_counts_files_by_their_hashes() -> None:
    def directory(digest: str, **files: str) -> ArtifactState:
        return ArtifactState(
            "d", digest, 10, len(files), True, tuple(DirectoryEntry(name, md5) for name, md5 in files.items())
        )

    old, new = (
        side(artifacts={"d": directory("1", a="1", b="2", c="3")}),
        side(artifacts={"d": directory("2", a="1", b="9", e="5")}),
    )
    change = compare_snapshots(old, new, {}).data[0]
    assert (change.files_added, change.files_removed, change.files_changed) == (1, 1, 1)
    assert set(change.examples) == {("added", "e"), ("removed", "c"), ("changed", "b")}


def test_curves_matrices_and_pictures() -> None:
    plots = (
        PlotDefinition("c.csv", ("c.csv",), x="step", y={"c.csv": ("loss",)}),
        PlotDefinition("k.csv", ("k.csv",), x="actual", y={"k.csv": ("predicted",)}, template="confusion"),
        PlotDefinition("p.png", ("p.png",)),
        PlotDefinition("s.svg", ("s.svg",)),
    )
    data = {
        "c.csv": Source(b"step,loss\n0,3\n1,2\n"),
        "k.csv": Source(b"actual,predicted\na,a\na,b\na,b\n"),
        "p.png": Source(picture("PNG")),
        "s.svg": Source(b"<svg onload='x()'/>"),
    }
    found = {plot.file: plot for plot in compare_snapshots(side(), side(plots=plots, plot_data=data), {}).plots}
    assert found["c.csv"].new == ((0.0, 3.0), (1.0, 2.0))
    assert found["k.csv"].new == (("a", "a", 1), ("b", "a", 2)) or found["k.csv"].new == (("a", "a", 1), ("a", "b", 2))
    assert str(found["p.png"].new[0][0]).startswith("data:image/png;base64,")
    assert found["s.svg"].kind == "unsupported"


@given(st.integers(0, 5000))
def test_thinning_keeps_the_ends_and_the_bound(count: int) -> None:
    points = [(float(i), float(i)) for i in range(count)]
    kept = thinned(points)
    assert len(kept) == min(count, MOST_POINTS)
    if points:
        assert (kept[0], kept[-1]) == (points[0], points[-1])


def test_without_metrics_the_examples_decide() -> None:
    def predictions(*said: str) -> dict[str, Stored]:
        rows = "".join(f"{number},a,{word}\n" for number, word in enumerate(said))
        return {"p.csv": Stored(content=f"id,label,prediction\n{rows}".encode())}

    old, new = side(tables=predictions(*"a" * 10)), side(tables=predictions(*"b" * 10))
    verdict, sentence = conclude(compare_snapshots(old, new, {}, [Predictions(file="p.csv", id="id")]), ())
    assert verdict is Verdict.WORSE
    assert sentence.startswith(
        "Worse: p.csv: 10 examples right → wrong, 0 wrong → right, more than chance explains (p = 0.002)."
    )


def test_the_sentence_names_the_deciding_number() -> None:
    verdict, sentence = conclude(compare_snapshots(side({"accuracy": 0.9}), side({"accuracy": 0.95}), {}), ())
    assert verdict is Verdict.BETTER
    assert sentence == ("Better or noise: m.json:accuracy 0.90 → 0.95 (+0.05).")


# ---------------------------------------------------------------------------------- the verdict's balance

REASON = "stage 'train' is stale and did not run: what is here is from before the change"


@pytest.mark.parametrize("accuracy", [float("nan"), None, "diverged"])
def test_a_number_that_is_lost_is_in_the_sentence_although_another_got_better(accuracy: object) -> None:
    found = compare_snapshots(side({"loss": 0.5, "accuracy": 0.9}), side({"loss": 0.4, "accuracy": accuracy}), {})
    verdict, sentence = conclude(found, [])
    assert verdict is Verdict.CHANGED
    assert sentence.startswith("Mixed: m.json:loss 0.5 → 0.4 (−0.1) better, m.json:accuracy was 0.9 and is ")


@pytest.mark.parametrize("loss", [0.4, 0.5, 0.6])
def test_a_number_that_is_gone_comes_first(loss: float) -> None:
    verdict, sentence = conclude(compare_snapshots(side({"loss": 0.5, "accuracy": 0.9}), side({"loss": loss}), {}), [])
    assert verdict is Verdict.GONE
    assert sentence.startswith("Gone: m.json:accuracy was 0.9 and is gone (not measured any more)")
    assert ("m.json:loss 0.5 → 0.6 (+0.1) worse" in sentence) is (loss > 0.5)


def test_a_file_that_is_gone_takes_numbers_without_a_direction_with_it() -> None:
    gone = Snapshot("", metrics={"m.json": Source(None, "the file is missing", absent=True)})
    verdict, sentence = conclude(compare_snapshots(side({"epochs": 3}), gone, {}), [])
    assert verdict is Verdict.GONE
    assert sentence.startswith("Gone: m.json:epochs was 3 and is gone (the file is missing)")


def test_a_gate_on_a_metric_that_is_gone_fails_and_says_why() -> None:
    old = side({"accuracy": 0.9})
    new = Snapshot("", metrics={"m.json": Source(None, "the file is missing", absent=True)})
    metrics = compare_snapshots(old, new, {}).metrics
    [result] = judge([Gate(metric="m.json:accuracy", max_drop=0.1)], Evidence(metrics=metrics, old=old, new=new))
    assert result.outcome == "failed"
    assert "m.json:accuracy is gone (the file is missing)" in result.sentence


OBJECT = "0123456789abcdef0123456789abcdef"


def test_a_file_that_is_the_same_object_on_both_sides_is_the_same_without_being_read() -> None:
    unread = Source(None, "in neither cache, mirror nor remote", identity=OBJECT)
    old, new = (Snapshot(name, metrics={"m.json": unread}, params={"p.yaml": unread}) for name in ("1", ""))
    found = compare_snapshots(old, new, {})
    assert [(m.key, m.verdict) for m in found.metrics] == [("m.json", Verdict.SAME)]
    assert found.not_judged == ()
    assert conclude(found, [])[0] is Verdict.SAME
    evidence = Evidence(metrics=found.metrics, old=old, new=new)
    drop, least = judge([Gate(metric="m.json:accuracy", max_drop=0.1, min=0.5)], evidence)[::-1]
    assert (drop.outcome, least.outcome) == ("passed", "not judged")
    other = Snapshot("1", metrics={"m.json": Source(None, "nowhere", identity=OBJECT[::-1])})
    assert conclude(compare_snapshots(other, new, {}), [])[0] is Verdict.NOT_JUDGED


def test_a_target_that_cannot_be_read_makes_nothing_new() -> None:
    old = Snapshot("1", metrics={"m.json": Source(None, "dvc.lock cannot be read")}, problem="dvc.lock cannot be read")
    found = compare_snapshots(old, side({"accuracy": 0.9}), {})
    assert verdicts(found) == {"accuracy": Verdict.NOT_JUDGED}
    assert "in the target: dvc.lock cannot be read" in found.metrics[0].reason


def test_a_number_from_before_the_change_is_said_to_be_unknown_and_why() -> None:
    found = without_stale_outputs(compare_snapshots(side({"accuracy": 0.9}), side({}), {}), {"m.json": REASON})
    assert conclude(found, [])[1].startswith(
        "Not judged: m.json:accuracy was 0.9 and is not known (stage 'train' is stale and did not run"
    )


def test_a_target_that_cannot_be_read_is_said() -> None:
    found = compare_snapshots(Snapshot("1", problem="dvc.yaml is broken"), side({"accuracy": 0.9}), {})
    assert ("the target", "dvc.yaml is broken; only what Git keeps is compared") in found.not_judged


def test_a_new_number_and_one_without_direction_are_no_loss() -> None:
    found = compare_snapshots(side({"loss": 0.5, "epochs": 3}), side({"loss": 0.4, "f1": 0.3}), {})
    assert conclude(found, [])[0] is Verdict.BETTER


def predictions_file(wrong: int) -> Stored:
    rows = "".join(f"{i},a,{'b' if i < wrong else 'a'}\n" for i in range(100))
    return Stored(content=f"id,label,prediction\n{rows}".encode(), identity=str(wrong))


def test_predictions_that_got_worse_are_in_the_sentence_of_a_better_metric() -> None:
    spec = Predictions(file="p.csv", id="id", label="label", prediction="prediction")
    old, new = (
        side({"loss": 0.5}, tables={"p.csv": predictions_file(0)}),
        side({"loss": 0.4}, tables={"p.csv": predictions_file(60)}),
    )
    verdict, sentence = conclude(compare_snapshots(old, new, {}, [spec]), [])
    assert verdict is Verdict.CHANGED
    assert "m.json:loss 0.5 → 0.4 (−0.1) better, p.csv: 60 examples right → wrong, 0 wrong → right" in sentence


def test_what_is_left_from_before_has_no_verdict() -> None:
    spec = Predictions(file="out/p.csv", id="id", label="label", prediction="prediction")
    tables = ({"out/p.csv": predictions_file(0)}, {"out/p.csv": predictions_file(60)})
    old, new = side({"loss": 0.5}, tables=tables[0]), side({"loss": 0.4}, tables=tables[1])
    found = without_stale_outputs(compare_snapshots(old, new, {}, [spec]), {"m.json": REASON, "out": REASON})
    assert verdicts(found) == {"loss": Verdict.NOT_JUDGED}
    assert found.predictions[0].verdict is Verdict.NOT_JUDGED
    assert [subject for subject, _ in found.not_judged] == ["m.json", "out/p.csv"]
    assert "stage 'train' is stale and did not run" in conclude(found, [])[1]
    assert without_stale_outputs(compare_snapshots(old, new, {}, [spec]), {}) == compare_snapshots(old, new, {}, [spec])


@pytest.mark.parametrize(
    ("name", "goal"),
    [
        ("val.accuracy2", "maximize"), ("accuracy_top5", "maximize"), ("valLoss", "minimize"), ("mAP50", "maximize"),
        ("f1", "maximize"), ("macro F1", "maximize"), ("loss0", "minimize"), ("accuracy_error", "minimize"),
        ("rocAUC", "maximize"), ("epochs", None), ("f3", None), ("timestamp", None), ("2", None), ("", None),
    ],
)  # fmt: skip
def test_the_direction_that_a_name_tells(name: str, goal: str | None) -> None:
    assert guess_goal(name) == goal
