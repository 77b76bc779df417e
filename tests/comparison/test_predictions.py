"""Predictions of two sides, example by example."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbutler.comparison.predictions import MOST_FLIPS, MOST_SLICES, compare_predictions, pairing_notes
from mlbutler.comparison.snapshot import Stored
from mlbutler.record import PredictionChange, Verdict
from mlbutler.settings import Predictions


def table(*rows: str, head: str = "id,label,prediction") -> Stored:
    return Stored(content="\n".join((head, *rows)).encode())


def compare(old: Stored, new: Stored, **spec: Any) -> PredictionChange:
    return compare_predictions(Predictions(file="p.csv", **({"id": "id"} | spec)), old, new)


def test_flips_are_counted_by_id_whatever_the_order() -> None:
    old = table("1,a,a", "2,a,b", "3,b,b", "4,b,b", "gone,a,a")
    new = table("4,b,a", "3,b,a", "2,a,a", "1,a,a", "extra,a,a", "more,a,a")
    found = compare(old, new)
    assert (found.examples, found.broken, found.fixed) == (4, 2, 1)
    assert (found.old_right, found.new_right, found.only_old, found.only_new) == (3, 2, 1, 2)
    assert [flip.id for flip in found.flips] == ["4", "3"]
    assert [flip.id for flip in found.fixed_flips] == ["2"]
    assert found.verdict is Verdict.WITHIN_NOISE
    assert found.p == 1.0
    assert pairing_notes([found]) == [
        ("p.csv", "1 examples are only in the target"),
        ("p.csv", "2 examples are only here"),
    ]


def test_an_example_whose_label_changed_is_no_flip() -> None:
    found = compare(table("1,a,a", "2,a,a"), table("1,b,a", "2,a,a"))
    assert (found.examples, found.broken, found.relabelled) == (1, 0, 1)


def test_numbers_are_equal_as_numbers() -> None:
    found = compare(table("1,1,1.0", "2,1,2"), table("1,1,1", "2,1.0,2"))
    assert (found.old_right, found.broken, found.fixed, found.verdict) == (1, 0, 0, Verdict.SAME)


def test_many_broken_examples_are_no_chance() -> None:
    old = table(*(f"{n},a,a" for n in range(50)))
    new = table(*(f"{n},a,{'b' if n < 12 else 'a'}" for n in range(50)))
    found = compare(old, new)
    assert found.verdict is Verdict.WORSE
    assert found.p == pytest.approx(2 * 0.5**12)
    assert compare(new, old).verdict is Verdict.BETTER


def test_a_slice_got_worse_that_the_whole_hides() -> None:
    head = "id,label,prediction,language"
    old = table(*(f"{n},a,{'a' if n < 150 else 'b'},{'de' if n < 30 else 'en'}" for n in range(200)), head=head)
    new = table(*(f"{n},a,{'b' if n < 15 else 'a' if n < 165 else 'b'},{'de' if n < 30 else 'en'}" for n in range(200)),
                head=head)  # fmt: skip
    found = compare(old, new, slices=["language"])
    assert found.verdict is Verdict.WITHIN_NOISE
    assert [(part.value, part.worse, part.broken, part.fixed) for part in found.slices] == [
        ("de", True, 15, 0),
        ("en", False, 0, 15),
    ]
    assert found.slices[0].adjusted == pytest.approx(2 * 0.5**15)


def test_looking_at_many_slices_finds_nothing_in_noise() -> None:
    """200 files without any difference, 30 slices each: about 5 % of the files may name a slice, not nearly all."""
    named = 0
    for trial in range(200):
        source = random.Random(trial)
        sides = [
            table(*(f"{n},a,{source.choice('ab')},{n % 30}" for n in range(600)), head="id,label,prediction,s")
            for _ in range(2)
        ]
        named += any(part.worse for part in compare(*sides, slices="s").slices)
    assert named <= 20


def test_a_column_of_ids_is_no_slice_and_is_named() -> None:
    rows = [f"{n},a,a,{n}" for n in range(MOST_SLICES + 1)]
    other = [f"{n},a,b,{n}" for n in range(MOST_SLICES + 1)]
    found = compare(table(*rows, head="id,label,prediction,s"), table(*other, head="id,label,prediction,s"),
                    slices="s")  # fmt: skip
    assert found.slices == ()
    assert "more than 200 values: s" in found.reason


def test_the_worst_flips_are_those_that_lost_most() -> None:
    head = "id,label,prediction,score"
    old = table(*(f"{n},yes,yes,0.9" for n in range(40)), head=head)
    new = table(*(f"{n},yes,no,{n / 100}" for n in range(40)), head=head)
    found = compare(old, new, score="score", positive="yes")
    assert [flip.id for flip in found.flips] == [str(n) for n in range(MOST_FLIPS)]
    assert found.flips[3].new_score == 0.03


def test_what_is_not_in_the_scores_is_told() -> None:
    head = "id,label,prediction,score"
    rows = [f"{n},{'yes' if n % 2 else 'no'},yes,{0.1 + n / 100}" for n in range(20)]
    odd = table(*rows[:18], "18,no,yes,nan", "19,yes,yes,", head=head)
    found = compare(table(*rows, head=head), odd, score="score", positive="yes")
    said = "2 examples have no number as score on both sides and are not in the scores"
    assert (found.reason, len(found.scores)) == (said, 3)
    assert pairing_notes([found]) == [(found.file, said)]  # though nothing flipped
    high = table(*rows[:19], "19,yes,yes,7.5", head=head)
    found = compare(table(*rows, head=head), high, score="score", positive="yes")
    assert [score.name for score in found.scores] == ["roc_auc"]
    assert "no log_loss and brier: some scores are not probabilities" in found.reason
    few, more = (table(*rows[:count], head=head) for count in (4, 5))
    assert "it takes 10 to 1,000,000 examples" in compare(few, more, score="score", positive="yes").reason


def test_scores_of_probabilities_are_scikit_learns() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    source = random.Random(5)
    labels = [source.choice(["yes", "no"]) for _ in range(300)]
    scores = [[min(max(source.gauss(0.6 if x == "yes" else 0.4, w), 0), 1) for x in labels] for w in (0.1, 0.4)]
    sides = [
        table(*(f"{n},{x},{'yes' if s > 0.5 else 'no'},{s}" for n, (x, s) in enumerate(zip(labels, side, strict=True))),
              head="id,label,prediction,score")
        for side in scores
    ]  # fmt: skip
    found = {score.name: score for score in compare(*sides, score="score", positive="yes").scores}
    truth = [label == "yes" for label in labels]
    for name, function in (
        ("roc_auc", metrics.roc_auc_score),
        ("log_loss", metrics.log_loss),
        ("brier", metrics.brier_score_loss),
    ):
        clipped = [[min(max(s, 1e-15), 1 - 1e-15) for s in side] for side in scores]
        assert found[name].old == pytest.approx(function(truth, clipped[0]), rel=1e-4)
        assert found[name].new == pytest.approx(function(truth, clipped[1]), rel=1e-4)
        assert found[name].verdict is Verdict.WORSE
        assert found[name].low <= found[name].new - found[name].old <= found[name].high


def test_numbers_are_right_within_a_tolerance() -> None:
    old = table(*(f"{n},{n},{n + 0.1}" for n in range(20)))
    new = table(*(f"{n},{n},{n + (2 if n % 2 else 0.1)}" for n in range(20)))
    found = compare(old, new, tolerance=0.5)
    assert (found.broken, found.fixed) == (10, 0)
    assert {score.name: round(score.new, 3) for score in found.scores} == {"mae": 1.05, "rmse": 1.416}
    assert all(score.verdict is Verdict.WORSE for score in found.scores)


@pytest.mark.parametrize(
    ("old", "new", "spec", "why"),
    [
        (Stored(problem="the file is missing"), table("1,a,a"), {}, "in the target: the file is missing"),
        (table("1,a,a"), table("1,a,a", "1,a,b"), {}, "here: the id '1' occurs more than once"),
        (table("1,a,a"), table("2,a,a"), {}, "no example is on both sides"),
        (table("1,a,a"), table("1,a,a", "2,a,a"), {"id": None}, "the number of rows differs"),
        (table("1,a,a"), table("1,a,a"), {"score": "p"}, "no column 'p'"),
        (table("1,a,1"), table("1,a,1"), {"tolerance": 1}, "the label 'a' is not a number"),
    ],
)
def test_what_cannot_be_compared_says_why(old: Stored, new: Stored, spec: dict[str, Any], why: str) -> None:
    found = compare(old, new, **spec)
    assert found.verdict is Verdict.NOT_JUDGED
    assert why in found.reason


def test_the_same_object_is_not_read() -> None:
    same = Stored(problem="nobody has it", identity="abc")
    assert compare(same, same).verdict is Verdict.SAME


NASTY = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(st.lists(st.tuples(NASTY, NASTY, NASTY), max_size=20), st.lists(st.tuples(NASTY, NASTY, NASTY), max_size=20))
@settings(deadline=None)
def test_nothing_in_a_file_raises(old: list[tuple[str, ...]], new: list[tuple[str, ...]]) -> None:
    sides = [table(*(",".join(row) for row in rows)) for rows in (old, new)]
    found = compare(*sides, slices="label", score="prediction")
    assert found.broken + found.fixed <= found.examples
