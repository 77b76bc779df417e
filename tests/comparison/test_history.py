"""Metrics over the commits of a branch."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from mlbutler.comparison.history import MetricsAtCommit, metric_histories, with_noise
from mlbutler.comparison.snapshot import Source
from mlbutler.record import MetricChange, Verdict


def moments(*contents: object) -> list[MetricsAtCommit]:
    """Newest first, as they are given oldest first; None for a commit without the file."""
    made = [
        MetricsAtCommit(
            f"c{number}", f"2026-01-{number + 1:02}", {} if content is None else {"m.json": source(content)}
        )
        for number, content in enumerate(contents)
    ]
    return made[::-1]


def source(content: object) -> Source:
    return Source(content if isinstance(content, bytes) else json.dumps(content).encode())


def values(*contents: object) -> dict[str, list[tuple[str, object]]]:
    found, _ = metric_histories(moments(*contents), {})
    return {history.name: [(value.commit, value.value) for value in history.values] for history in found}


def test_a_commit_counts_where_the_file_is_another() -> None:
    assert values({"a": 1}, {"a": 1}, {"a": 2, "b": 5}, {"a": 2, "b": 6}) == {
        "a": [("c0", 1), ("c2", 2), ("c3", 2)],
        "b": [("c2", 5), ("c3", 6)],
    }


def test_a_file_that_was_gone_and_came_back_the_same_is_one_measurement() -> None:
    assert values({"a": 1}, None, {"a": 1}, {"a": 3}) == {"a": [("c0", 1), ("c3", 3)]}


def test_what_never_was_a_number_is_left_out_and_what_once_was_is_kept() -> None:
    assert values({"a": "x", "b": 1}, {"a": "y", "b": "broken"}) == {"b": [("c0", 1), ("c1", "broken")]}


def test_broken_commits_are_told_and_do_not_hide_the_others() -> None:
    found, problems = metric_histories(moments({"a": 1}, b"{", b"{,", {"a": 2}), {})
    assert [value.value for value in found[0].values] == [1, 2]
    assert [file for file, _ in problems] == ["m.json"]
    assert "not valid JSON" in problems[0][1]
    assert problems[0][1].endswith("(2 commits)")


def test_the_goal_is_the_settings_else_the_names() -> None:
    found, _ = metric_histories(moments({"loss": 1, "x": 1, "acc": 1}), {"x": "minimize", "m.json:acc": "minimize"})
    assert {history.name: history.goal for history in found} == {"loss": "minimize", "x": "minimize", "acc": "minimize"}


@given(st.lists(st.one_of(st.none(), st.integers(0, 2)), max_size=12))
def test_never_two_neighbours_from_the_same_content(numbers: list[int | None]) -> None:
    found = values(*({"a": n} if n is not None else None for n in numbers))
    measured = [value for _, value in found.get("a", [])]
    present = [n for n in numbers if n is not None]
    assert measured == [n for i, n in enumerate(present) if i == 0 or present[i - 1] != n]


def metric_change(difference: float, goal: str = "maximize") -> MetricChange:
    better = (difference > 0) == (goal == "maximize")
    verdict = Verdict.BETTER if better else Verdict.WORSE
    return MetricChange(file="m.json", name="acc", old=0.9, new=0.9 + difference, difference=difference, goal=goal,
                        verdict=verdict)  # fmt: skip


def judge(difference: float, *past: object) -> MetricChange:
    (history,) = metric_histories(moments(*({"acc": value} for value in past)), {})[0]
    (metric,) = with_noise([metric_change(difference)], [history])
    return metric


def test_a_difference_as_small_as_the_branchs_own_steps_is_noise() -> None:
    past = (0.900, 0.902, 0.899, 0.901, 0.903, 0.900)  # steps of 0.002, 0.003, 0.002, 0.002, 0.003
    small, large, drop = (judge(difference, *past) for difference in (0.0055, 0.0065, -0.02))
    assert small.verdict is Verdict.WITHIN_NOISE
    assert small.noise is not None
    assert abs(small.noise - 0.006) < 1e-9
    assert (large.verdict, large.noise_by, large.may_be_noise) == (Verdict.BETTER, "history", False)
    assert drop.verdict is Verdict.WORSE


def test_one_great_leap_of_the_past_does_not_excuse_a_drop() -> None:
    assert judge(-0.05, 0.5, 0.9, 0.901, 0.9, 0.901, 0.902).verdict is Verdict.WORSE


def test_a_metric_that_never_moves_but_by_its_cause_has_no_noise() -> None:
    contents = ({"acc": 0.9, "other": n} for n in range(8))
    history = metric_histories(moments(*contents), {})[0][0]
    (metric,) = with_noise([metric_change(1e-9)], [history])
    assert (metric.verdict, metric.noise) == (Verdict.BETTER, 0.0)


def test_few_measurements_do_not_tell_what_noise_is() -> None:
    few = judge(0.0001, 0.900, 0.902, 0.899, 0.901, 0.903)
    assert (few.verdict, few.noise, few.may_be_noise) == (Verdict.BETTER, None, True)
