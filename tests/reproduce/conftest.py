"""Real DVC projects whose stages run through the worker, with a plan written by hand."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mlbutler.git import Git
from mlbutler.process import Grace, output_redactor, project_environment
from mlbutler.record import Cause, StagePlan, StageState
from mlbutler.reproduce.runner import Reproduction, Runner, Surroundings
from tests import forked_python
from tests.project.conftest import full, master

__all__ = ["full", "master"]

NEW = Cause(kind="never run", subject="it", detail="not in dvc.lock")


def stale(name: str, *causes: Cause) -> StagePlan:
    """A stage that has to run."""
    return StagePlan(name=name, state=StageState.STALE, causes=causes or (NEW,))


def because_of(stage: str) -> Cause:
    """The cause of a stage that stands on a stale one."""
    return Cause(kind="upstream", subject=stage, detail="runs again before it")


@dataclass
class World:
    """One project in a git repository."""

    root: Path
    lines: list[str] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def dvc(self, *args: str) -> None:
        done = forked_python.run("dvc", *args, cwd=self.root)
        assert done.returncode == 0, done.stdout + done.stderr

    def commit(self, message: str = "work") -> None:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        subprocess.run(["git", "add", "-A"], cwd=self.root, check=True)
        subprocess.run(["git", *identity, "commit", "-qm", message], cwd=self.root, check=True)

    def runner(
        self,
        *plan: StagePlan,
        environ: Mapping[str, str] | None = None,
        timeout: float | None = None,
        lock_timeout: float = 30.0,
        told: float = 0.3,
    ) -> Runner:
        given = {**os.environ, **(environ or {})}
        return Runner(
            plan,
            Surroundings(
                root=self.root,
                git=Git(self.root),
                environ=project_environment(given),
                redactor=output_redactor(given),
                heading=self.headings.append,
                on_line=self.lines.append,
                timeout=timeout,
                lock_timeout=lock_timeout,
                grace=Grace(0.5, 0.5, told),
            ),
        )

    def reproduce(
        self,
        *plan: StagePlan,
        environ: Mapping[str, str] | None = None,
        timeout: float | None = None,
        told: float = 0.3,
    ) -> Reproduction:
        return self.runner(*plan, environ=environ, timeout=timeout, told=told).run()

    def outcomes(self, done: Reproduction) -> dict[str, str]:
        return {name: run.outcome for name, run in done.runs.items()}

    def read(self, name: str) -> str:
        return (self.root / name).read_text()


@pytest.fixture(scope="session")
def empty_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``git init`` and ``dvc init``, once."""
    world = World(tmp_path_factory.mktemp("empty") / "repo")
    world.root.mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=world.root, check=True)
    world.dvc("init", "-q")
    return world.root


@pytest.fixture
def world(empty_project: Path, tmp_path: Path) -> Callable[[Mapping[str, str]], World]:
    """``world({"dvc.yaml": ..., ...})`` -> a project with these files, committed."""

    def make(files: Mapping[str, str]) -> World:
        root = tmp_path / "the project"
        shutil.copytree(empty_project, root, symlinks=True)
        made = World(root)
        made.write(files)
        made.commit("first")
        return made

    return make
