"""Parameters in a file that is itself an artifact: a clone without data knows them too."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from mlbutler.record import StageState
from tests.steps.test_reproduce import commit, dvc, make, planned_context

DVC_YAML = """
stages:
  search:
    cmd: cp found.txt best.yaml
    deps: [found.txt]
    outs: [best.yaml]
  train:
    cmd: cp best.yaml model.txt
    params: [best.yaml: [rate, net.width]]
    outs: [model.txt]
"""


@pytest.fixture
def author(tmp_path: Path) -> Path:
    root = make(tmp_path / "author", {"dvc.yaml": DVC_YAML, "found.txt": "rate: 0.5\nnet: {width: 3}\nother: 1\n"})
    dvc(root, "remote", "add", "-q", "-d", "origin", str(tmp_path / "remote"))
    dvc(root, "repro", "-q")
    dvc(root, "push", "-q")
    commit(root, "results")
    return root


def causes(author: Path, name: str) -> dict[str, list[tuple[str, str, str]]]:
    """Plan in a fresh clone: stage -> what makes it stale."""
    root = author.parent / name
    subprocess.run(["git", "clone", "-q", str(author), str(root)], check=True)
    plan = planned_context(root).record.plan
    assert plan is not None
    stale = [stage for stage in plan.stages if stage.state is not StageState.UP_TO_DATE]
    return {stage.name: [(cause.kind, cause.subject, cause.detail) for cause in stage.causes] for stage in stale}


def test_they_come_from_the_remote(author: Path) -> None:
    assert causes(author, "clone") == {}
    lock = (author / "dvc.lock").read_text()
    (author / "dvc.lock").write_text(lock.replace("rate: 0.5", "rate: 0.4"))
    commit(author, "a lock by hand")
    assert causes(author, "other") == {"train": [("param", "best.yaml:rate", "0.4 → 0.5")]}


def test_a_stage_that_makes_them_anew_is_the_cause(author: Path) -> None:
    (author / "found.txt").write_text("rate: 0.6\nnet: {width: 3}\n")
    commit(author, "another rate")
    assert causes(author, "clone")["train"] == [("upstream", "search", "makes best.yaml")]


def test_parameters_that_nobody_has_are_not_called_missing(author: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "remote" / "files")
    [(kind, subject, detail)] = causes(author, "clone")["train"]
    assert (kind, subject) == ("not known", "best.yaml")
    assert detail.startswith("its content is neither in cache nor mirror, and the remote '")
