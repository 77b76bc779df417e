"""What a stage left is nobody's work; what somebody did with it afterwards is his."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlbutler.project.left_by_stages import LeftByStages
from mlbutler.project.model import Output, Stage
from mlbutler.state import fingerprint

STAGE = Stage("train", "dvc.yaml", outputs=(Output("out", None), Output("log.txt", None, cached=False)))


def run_stage(root: Path, *, well: bool = False) -> None:
    left = LeftByStages(root)
    left.note_start(STAGE)
    left.note_end(STAGE, well=well)


def left_outputs(root: Path) -> set[str]:
    """As the next process knows it."""
    return set(LeftByStages(root).holds(["out", "log.txt"]))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "half").write_text("half")
    (tmp_path / "log.txt").write_text("1")
    return tmp_path


def test_what_a_stage_left_is_known_until_it_is_changed(root: Path) -> None:
    run_stage(root)
    assert left_outputs(root) == {"out", "log.txt"}
    (root / "out" / "more").write_text("mine")
    assert left_outputs(root) == {"log.txt"}
    (root / "log.txt").unlink()
    assert left_outputs(root) == set()


def test_of_one_that_ended_well_only_what_no_cache_has_counts(root: Path) -> None:
    run_stage(root, well=True)
    assert left_outputs(root) == {"log.txt"}


def test_what_is_not_there_counts_until_it_is(root: Path) -> None:
    (root / "log.txt").unlink()
    run_stage(root)
    assert left_outputs(root) == {"out", "log.txt"}
    (root / "log.txt").write_text("mine")
    assert left_outputs(root) == {"out"}


def test_an_edit_right_after_the_end_shows(root: Path) -> None:
    for number in range(10):
        (root / "log.txt").write_text(f"{number}")
        run_stage(root)
        with (root / "log.txt").open("r+") as file:  # of equal length, in the same file
            file.write("x")
        assert left_outputs(root) == {"out"}


def test_an_edit_within_one_step_of_the_clock_is_not_taken_for_the_stages(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the clock has not moved on when the stage's end is noted."""
    now = max((root / name).stat().st_ctime for name in ("log.txt", "out/half"))
    monkeypatch.setattr(fingerprint, "time", SimpleNamespace(time=lambda: now, sleep=lambda seconds: None))
    run_stage(root)
    assert left_outputs(root) == set()


def test_times_that_lie_ahead_leave_it_to_the_user(root: Path) -> None:
    os.utime(root / "log.txt", (time.time() + 3600,) * 2)
    run_stage(root)
    assert left_outputs(root) == {"out"}


def test_links_that_a_stage_left_are_known_as_they_are(root: Path) -> None:
    (root / "out" / "latest").symlink_to("half")
    run_stage(root)
    assert left_outputs(root) == {"out", "log.txt"}
    (root / "out" / "latest").unlink()
    (root / "out" / "latest").symlink_to("mine")
    assert left_outputs(root) == {"log.txt"}


def test_whatever_is_there_counts_where_mlbutler_was_killed_with_the_stage(root: Path) -> None:
    LeftByStages(root).note_start(STAGE)
    shutil.rmtree(root / "out")
    assert left_outputs(root) == {"out", "log.txt"}
    run_stage(root)  # the next run
    (root / "out").mkdir()
    assert left_outputs(root) == {"log.txt"}


def test_an_output_whose_stage_was_killed_and_renamed_is_that_of_the_new_one(root: Path) -> None:
    LeftByStages(root).note_start(STAGE)
    renamed = Stage("fit", "dvc.yaml", outputs=STAGE.outputs)
    again = LeftByStages(root)
    again.note_start(renamed)
    again.note_end(renamed, well=True)
    assert left_outputs(root) == {"log.txt"}
    (root / "log.txt").write_text("mine")
    assert left_outputs(root) == set()
