"""Small real DVC projects; built once, copied for each test."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlbutler.project.project import Project
from mlbutler.record import StagePlan
from tests import forked_python
from tests.store.conftest import cache, connect, make_remote, remote

__all__ = ["cache", "connect", "make_remote", "remote"]

DVC_YAML = """
vars: [params.yaml]
stages:
  prepare:
    cmd: cat data/raw/*.txt > prepared.txt
    deps: [data/raw, src/prepare.py]
    outs: [prepared.txt]
  pick:
    cmd: cp "data/raw/f 1.txt" picked.txt
    deps: ["data/raw/f 1.txt"]
    outs: [picked.txt]
  train:
    matrix: {lr: [1, 2]}
    cmd:
      - mkdir -p model${item.lr} && cp prepared.txt model${item.lr}/w
      - echo "{\\"acc\\":0.${item.lr}${n}}" > m${item.lr}.json
    deps: [prepared.txt]
    params: [n]
    outs: ["model${item.lr}"]
    metrics: [{"m${item.lr}.json": {cache: false}}]
  final:
    cmd: cat model1/w model2/w > final.txt
    deps: [model1, model2]
    outs: [final.txt]
"""


def dvc(directory: Path, *args: str) -> None:
    done = forked_python.run("dvc", *args, cwd=directory)
    assert done.returncode == 0, done.stderr


def commit(directory: Path, message: str) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    subprocess.run(["git", "add", "-A"], cwd=directory, check=True)
    subprocess.run(["git", *identity, "commit", "-qm", message], cwd=directory, check=True)
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=directory, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="session")
def master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reproduced, committed and pushed project beside its remote."""
    root = tmp_path_factory.mktemp("master") / "repo"
    (root / "data" / "raw").mkdir(parents=True)
    (root / "src").mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=root, check=True)
    dvc(root, "init", "-q")
    for number in (1, 2, 3):
        (root / "data" / "raw" / f"f {number}.txt").write_text(f"row {number}\n")
    dvc(root, "add", "-q", "data/raw")
    (root / "dvc.yaml").write_text(DVC_YAML)
    (root / "params.yaml").write_text("n: 5\nother: 1\n")
    (root / "src" / "prepare.py").write_text("# nothing\n")
    dvc(root, "repro", "-q")
    dvc(root, "remote", "add", "-q", "-d", "origin", str(root.parent / "remote"))
    commit(root, "first")
    dvc(root, "push", "-q")
    return root


@pytest.fixture
def full(master: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A work tree with all data."""
    root = tmp_path / "full"
    shutil.copytree(master, root, symlinks=True)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def bare(master: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh clone: Git's files, no data, and a remote that does not exist."""
    root = tmp_path / "bare"
    subprocess.run(["git", "clone", "-q", str(master), str(root)], check=True)
    (root / ".dvc" / "config.local").write_text("['remote \"origin\"']\n    url = /nonexistent/remote\n")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def with_manifests(bare: Path, master: Path) -> Path:
    """A clone whose cache holds the directory manifests alone."""
    cache = master / ".dvc" / "cache" / "files" / "md5"
    for manifest in cache.glob("*/*.dir"):
        target = bare / ".dvc" / "cache" / "files" / "md5" / manifest.parent.name / manifest.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(manifest, target)
    return bare


Plan = Callable[..., dict[str, StagePlan]]


@pytest.fixture
def plan() -> Iterator[Plan]:
    """Plan a project: ``plan(root)`` -> stage name -> StagePlan."""
    before = Path.cwd()

    def run(root: Path, *targets: str) -> dict[str, StagePlan]:
        os.chdir(root)
        return {stage.name: stage for stage in Project(root, {}).planning.plan(targets)}

    yield run
    os.chdir(before)
