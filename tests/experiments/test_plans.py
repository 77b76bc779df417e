"""A plan before sending reads what the stages read, and lays out nothing else of the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlbutler.experiments import part_clone
from mlbutler.experiments.experiment import Experiment, experiment_id
from mlbutler.experiments.plans import ExperimentPlan, plan_experiments
from mlbutler.experiments.train_folder import TrainFolder
from mlbutler.git import Git
from mlbutler.project.project import Project
from tests.conftest import GitCommand

DVC_YAML = """
vars: [more.yml]
stages:
  prepare: {cmd: "cat words/*.txt > ${out}", deps: [words], outs: ["${out}"]}
  train: {cmd: "echo ${rate}", deps: ["${out}"], params: [rate], outs: [model]}
"""
FILES = {
    "dvc.yaml": DVC_YAML, "more.yml": "out: prepared\n", "params.yaml": "rate: 1\n", "words/a.txt": "a",
    "words/b.txt": "b",
    "notes/1.txt": "1", "notes/2.txt": "2", ".dvc/config": "", "README.md": "read me",
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path, git: GitCommand) -> Path:
    git(tmp_path, "init", "-q")
    for path, content in FILES.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(content)
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def plan_commits(root: Path, *commits: str) -> list[ExperimentPlan]:
    found = [
        Experiment(id=experiment_id(one, "", ()), name="n", grid="n", baseline=one, input=one, project="")
        for one in commits
    ]
    return list(plan_experiments(Git(root), TrainFolder(root), Project(root, os.environ), found, os.environ))


def states(one: ExperimentPlan) -> dict[str, tuple[str, ...]]:
    return {stage.name: tuple(f"{cause.kind} {cause.subject}" for cause in stage.causes) for stage in one.stages}


def test_stages_that_are_filled_in_from_other_files_are_planned(root: Path, git: GitCommand) -> None:
    first = git(root, "rev-parse", "HEAD")
    (root / "more.yml").write_text("out: other\n")
    git(root, "commit", "-qam", "another output")
    (one, two) = plan_commits(root, first, git(root, "rev-parse", "HEAD"))
    assert [stage.name for stage in one.stages] == ["prepare", "train"]
    assert states(one) == states(two)


def test_only_what_stages_read_is_laid_out(root: Path, git: GitCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "dvc.yaml").write_text(DVC_YAML.replace("vars: [more.yml]\n", "").replace("${out}", "prepared"))
    git(root, "commit", "-qam", "no other file")
    first = git(root, "rev-parse", "HEAD")
    (root / "params.yaml").write_text("rate: 2\n")
    git(root, "rm", "-q", "words/a.txt")
    git(root, "commit", "-qam", "another rate")
    seen = []
    lay_out = part_clone.PartClone.lay_out

    def lay_out_and_look(clone: part_clone.PartClone, paths: list[str]) -> None:
        lay_out(clone, paths)
        seen.append({str(path.relative_to(clone.root)) for path in clone.root.rglob("*") if path.is_file()})

    monkeypatch.setattr(part_clone.PartClone, "lay_out", lay_out_and_look)
    plan_commits(root, first, git(root, "rev-parse", "HEAD"), first)
    ours = [{path for path in one if not path.startswith((".git/", ".dvc/"))} for one in seen]
    assert ours[0] == {"dvc.yaml", "params.yaml", "words/a.txt", "words/b.txt"}
    assert ours[1] == ours[0] - {"words/a.txt"}
    assert ours[2] == ours[0]


def test_what_a_stage_reads_outside_the_repository_is_looked_up_there(root: Path, git: GitCommand) -> None:
    (root / "dvc.yaml").write_text('stages: {train: {cmd: "true", deps: [words, ../beside, /etc/hostname]}}\n')
    git(root, "commit", "-qam", "reads elsewhere")
    (one,) = plan_commits(root, git(root, "rev-parse", "HEAD"))
    assert [stage.name for stage in one.stages] == ["train"]
