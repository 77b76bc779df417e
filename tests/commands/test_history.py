"""`mlbutler history`, as a user sees it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from mlbutler.cli import main
from tests.commands.conftest import Cli
from tests.project.conftest import commit, dvc

VERB = "history"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose `main` measured three times in five commits, with a branch `try` checked out."""
    root = tmp_path / "project"
    root.mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=root, check=True)
    dvc(root, "init", "-q")
    (root / "dvc.yaml").write_text("metrics: [m.json]\n")
    for number, accuracy in enumerate((0.8, 0.8, 0.85, 0.85, 0.83)):
        (root / "m.json").write_text(json.dumps({"test": {"accuracy": accuracy}, "loss": 1 - accuracy, "note": "x"}))
        (root / "code.py").write_text(f"# {number}\n")
        commit(root, f"change \x1b[31m{number}")
    subprocess.run(["git", "checkout", "-q", "-b", "try"], cwd=root, check=True)
    (root / "m.json").write_text(json.dumps({"test": {"accuracy": 0.99}, "loss": 0.01}))
    commit(root, "on the branch")
    monkeypatch.chdir(root)
    return root


def test_one_metric_commit_by_commit(root: Path, cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("test.accuracy") == 0
    out = capsys.readouterr().out
    assert "main, 5 commits" in out
    assert "m.json:test.accuracy (maximize)  ▁█▅" in out
    rows = [line for line in out.splitlines() if "change" in line]
    assert [("0.83" in row, "0.85" in row, "+0.05" in row, "−0.02" in row) for row in rows] == [
        (True, False, False, True), (False, True, True, False), (False, False, False, False),
    ]  # fmt: skip
    assert "0.99" not in out
    assert "\x1b" not in out


def test_all_metrics_a_line_each(root: Path, cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli() == 0
    out = capsys.readouterr().out
    assert "m.json:test.accuracy" in out
    assert "m.json:loss" in out
    assert "note" not in out


def test_json(root: Path, cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("m.json:*", "--json", "--commits", "3") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["branch"], found["commits"], found["cut_off"], found["problems"]) == ("main", 3, False, [])
    [accuracy, loss] = found["metrics"]
    assert (accuracy["file"], accuracy["name"], accuracy["goal"]) == ("m.json", "test.accuracy", "maximize")
    assert [value["value"] for value in accuracy["values"]] == [0.85, 0.83]
    assert [value["subject"] for value in loss["values"]] == ["change \x1b[31m2", "change \x1b[31m4"]


def test_of_very_many_those_that_moved_come_first(root: Path, cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    subprocess.run(["git", "checkout", "-q", "main"], cwd=root, check=True)
    still = {f"a{number:04}": 1 for number in range(500)}
    for accuracy in (0.7, 0.9):
        (root / "m.json").write_text(json.dumps({**still, "test": {"accuracy": accuracy}}))
        commit(root, "many")
    assert cli() == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split("│")[1].strip() for line in lines if line.startswith("│")]
    assert rows[0] == "m.json:test.accuracy"
    assert "m.json:a0001" in rows
    assert "m.json:a0400" not in rows
    assert cli("acuracy") == 2
    assert "Did you mean test.accuracy?" in capsys.readouterr().err


def test_another_branch(root: Path, cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("--branch", "try", "test.accuracy", "--json") == 0
    assert json.loads(capsys.readouterr().out)["metrics"][0]["values"][-1]["value"] == 0.99


def test_a_name_that_is_no_metric_and_a_branch_that_is_none(
    root: Path, cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("recall") == 2
    assert "There are: m.json:test.accuracy, m.json:loss" in capsys.readouterr().err
    assert cli("--branch", "mian") == 2
    assert "Similar names: main" in capsys.readouterr().err


def test_a_shallow_clone_brings_the_history_it_lacks(
    root: Path, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "checkout", "-q", "main"], cwd=root, check=True)
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--depth", "1", "-b", "main", f"file://{root}", str(clone)], check=True)
    monkeypatch.chdir(clone)
    assert cli("loss", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["metrics"][0]["values"]) == 3
    assert found["cut_off"] is False


# ------------------------------------------------------------------------- what cannot be read, and why


def test_an_earlier_comparison_with_another_revision_leaves_no_trace(
    root: Path, cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["compare", "--quiet", "--against", "main~3"])
    capsys.readouterr()
    assert cli("--json") == 0
    assert json.loads(capsys.readouterr().out)["branch"] == "main"


def test_no_metrics_declared_and_files_never_committed_are_told_apart(
    root: Path, cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "dvc.yaml").write_text("metrics: [other.json]\n")
    commit(root, "another file")
    assert cli("--branch", "try") == 0
    assert "the files were never committed: other.json" in capsys.readouterr().out
    (root / "dvc.yaml").write_text("params: [p.yaml]\n")
    commit(root, "no metrics")
    assert cli("--branch", "try") == 0
    assert "dvc.yaml there declares no metrics" in capsys.readouterr().out


def test_a_tip_that_cannot_be_read_is_named_and_the_others_are_shown(
    root: Path, cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "dvc.yaml").write_text("<<<<<<< HEAD\nmetrics: [m.json]\n=======\n>>>>>>> other\n")
    tip = commit(root, "a torn merge")
    assert cli("test.accuracy", "--branch", "try", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [value["value"] for value in found["metrics"][0]["values"]] == [0.8, 0.85, 0.83, 0.99]
    [problem] = found["problems"]
    assert problem["file"] == f"commit {tip[:10]}"
    assert "conflict markers" in problem["reason"]


def test_a_tip_whose_lock_is_torn_is_not_called_unread_where_git_keeps_its_metrics(
    root: Path, cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "dvc.yaml").write_text("stages:\n  make: {cmd: echo, outs: [made.txt]}\nmetrics: [m.json]\n")
    (root / "dvc.lock").write_text("schema: '2.0'\n<<<<<<< HEAD\nstages: {}\n=======\n>>>>>>> other\n")
    commit(root, "a torn lock")
    assert cli("test.accuracy", "--branch", "try", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [value["value"] for value in found["metrics"][0]["values"]] == [0.8, 0.85, 0.83, 0.99]
    assert found["problems"] == []


def test_metrics_in_a_directory_that_dvc_keeps_come_from_the_remote_or_say_why_not(
    root: Path, cli: Cli, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = 'make: {cmd: "mkdir -p out; cp in.json out/s.json", deps: [in.json], outs: [out]}'
    (root / "dvc.yaml").write_text(f"stages:\n  {stage}\nmetrics: [out/s.json]\n")
    dvc(root, "remote", "add", "-q", "-d", "store", str(tmp_path / "store"))
    for score in (0.5, 0.6):
        (root / "in.json").write_text(json.dumps({"score": score}))
        dvc(root, "repro", "-q")
        commit(root, f"score {score}")
        dvc(root, "push", "-q")
    shutil.rmtree(root / ".dvc" / "cache")
    (root / ".dvc" / "config.local").write_text("['remote \"store\"']\n    url = /nonexistent/remote\n")
    assert cli("--branch", "try", "--commits", "2") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "No metric was measured: the files could not be read." in said
    assert "the remote could not be asked" in said
    (root / ".dvc" / "config.local").unlink()
    assert cli("--branch", "try", "--commits", "2", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [value["value"] for value in found["metrics"][0]["values"]] == [0.5, 0.6]
    assert found["problems"] == []
