"""How far an experiment is, in its log and read back from there."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbutler.commands.train import logs
from mlbutler.commands.train.cost import describe_cost
from mlbutler.experiments import log_progress
from mlbutler.experiments.experiment import Experiment, Search
from mlbutler.experiments.state import State

NAMES = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters=","), min_size=1, max_size=9)
METRICS = st.dictionaries(NAMES, st.floats(-1e6, 1e6), max_size=4)


@settings(max_examples=40)
@given(st.sampled_from(["", "stage 1 of 3", "stage 2 of 3: train"]), METRICS)
def test_what_is_written_is_read_again(stage: str, metrics: dict[str, float]) -> None:
    found = log_progress.read_progress(
        [log_progress.progress_line(stage, metrics), "[mlbutler: not ours", "accuracy 0.1"]
    )
    assert found.stage == stage
    assert found.metrics == {name: (float(f"{number:.6g}"),) for name, number in metrics.items()}


@settings(max_examples=40)
@given(st.lists(st.text("[]mlbutler: ;,.0123456789e+-naifstgo", max_size=40) | st.text(max_size=9)))
def test_whatever_a_program_prints_there_is_no_error(lines: list[str]) -> None:
    log_progress.read_progress(lines)
    log_progress.read_progress(f"[mlbutler: {text}]" for text in lines)


def test_for_a_person_it_is_in_words() -> None:
    assert (
        log_progress.readable_line(log_progress.progress_line("stage 1 of 2: train", {"m.json:acc": 0.5}))
        == "== stage 1 of 2: train; m.json:acc 0.5"
    )
    assert log_progress.readable_line(log_progress.progress_line("", {"m.json:acc": 0.5})) == "== m.json:acc 0.5"
    assert log_progress.readable_line("[mlbutler: not ours") == "[mlbutler: not ours"
    log = b"one\r\n[mlbutler: stage 1 of 2: train]\n\xff two"
    assert logs._render_progress(log) == b"one\r\n== stage 1 of 2: train\n\xff two"


def test_metrics_are_read_in_their_order_and_no_number_is_passed_over() -> None:
    lines = [log_progress.progress_line("stage 1 of 1: train", {"m.json:a b": number}) for number in (1.0, 3.0, 2.0)]
    found = log_progress.read_progress([*lines, "[mlbutler: m.json:a b nan]", "[mlbutler: m.json:a b x]"])
    assert found.metrics == {"m.json:a b": (1.0, 3.0, 2.0)}
    assert log_progress.sparkline(found.metrics["m.json:a b"]) == "▁█▅"


@pytest.mark.parametrize(
    ("values", "shown"),
    [([], ""), ([1, 2], ""), ([2, 2, 2], "▅▅▅"), (range(20), "▁▂▃▃▄▅▆▆▇█"), ([-1.7e308, 0, 1.7e308], "▁▅█")],
)
def test_a_number_is_drawn_with_a_character_for_each_of_its_last_values(values: list[float], shown: str) -> None:
    assert log_progress.sparkline(values) == shown


def test_of_a_long_log_the_end_is_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert log_progress.last_lines(log) == []
    log.write_text("first\n" + "x" * log_progress.TAIL + "\nlast\n")
    assert log_progress.last_lines(log) == ["last"]
    log.write_text("first\nlast\n")
    assert log_progress.last_lines(log) == ["first", "last"]


def test_what_was_spent_and_what_is_left() -> None:
    one = Experiment(id="", name="s", grid="s", baseline="", input="", jobs=2, started=1000.0)
    done = one.with_(state=State.DONE, ended=1600.0, gpus=2)
    assert list(describe_cost([one.with_(started=None)], 5000)) == []
    assert list(describe_cost([done], 5000)) == ["0.3 GPU-hours"]
    running, waiting = one.with_(state=State.RUNNING, started=4800.0), one.with_(started=None)
    assert list(describe_cost([done, running, waiting, waiting], 5000)) == ["0.3 GPU-hours", "about 13 min left"]
    search = Search(metric="a", goal="maximize", trials=5, params=(), base="")
    (_, left) = describe_cost([done.with_(search=search, number=3)], 5000)
    assert left == "about 10 min left"
