"""What stages are doing, as another process sees it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlbutler.record import StageRun
from mlbutler.reproduce.progress import load_progress, writing
from mlbutler.secrets import Redactor

WRITER = """
import os, sys
from pathlib import Path
from mlbutler.reproduce.progress import writing
from mlbutler.secrets import Redactor
with writing(Path(sys.argv[1]), "abc", 3, Redactor(())) as progress:
    progress.mark_started("train")
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path: Path) -> subprocess.Popen[str]:
    """Another process that runs the stage `train`."""
    made = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert made.stdout is not None
    assert made.stdout.readline() == "ready\n"
    return made


def test_another_process_sees_it_until_it_ends(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    found = load_progress(tmp_path)
    assert found is not None
    assert (found.head, found.stages, found.running, found.done) == ("abc", 3, "train", ())
    other.communicate("")
    assert load_progress(tmp_path) is None


def test_what_a_killed_process_left_behind_does_not_count(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    other.kill()
    other.communicate()
    assert (tmp_path / ".mlbutler" / "progress.json").exists()
    assert load_progress(tmp_path) is None
    with writing(tmp_path, "def", 1, Redactor(())):
        pass
    assert not (tmp_path / ".mlbutler" / "progress.json").exists()


def test_stages_are_told_without_secrets_and_logs(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    other.communicate("")
    with writing(tmp_path, "abc", 2, Redactor(["hunter22"])) as progress:
        progress.mark_started("one")
        progress.mark_ended(StageRun(name="one", outcome="failed", cause="hunter22", tail=("a log",)))
        text = (tmp_path / ".mlbutler" / "progress.json").read_text()
    assert '"one"' in text
    assert "hunter22" not in text
    assert "a log" not in text


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"done": [{"x": 1}], "head": ""}'])
def test_what_is_no_progress_is_none(tmp_path: Path, other: subprocess.Popen[str], text: str) -> None:
    (tmp_path / ".mlbutler" / "progress.json").write_text(text)
    assert load_progress(tmp_path) is None
    other.communicate("")
