"""A small world for whole runs: a bare repository, an author's clone, a DVC remote, a mirror, a CI server's clones."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import forked_python
from tests.store.world import Remote

IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}

DVC_YAML = """
stages:
  prepare:
    cmd: python src/prepare.py
    deps: [data/raw, src/prepare.py]
    outs: [prepared]
  train:
    cmd: python src/train.py
    deps: [prepared, src/train.py]
    params: [train.rate]
    outs: [model.txt]
    metrics: [{metrics.json: {cache: false}}]
    plots: [{curve.csv: {cache: false, x: step, y: loss}}]
"""

PREPARE = """
import pathlib
out = pathlib.Path("prepared")
out.mkdir(exist_ok=True)
for file in sorted(pathlib.Path("data/raw").iterdir()):
    (out / file.name).write_text(file.read_text().upper())
"""

TRAIN = """
import json, pathlib, yaml
rate = yaml.safe_load(open("params.yaml"))["train"]["rate"]
words = sum(len(file.read_text()) for file in pathlib.Path("prepared").iterdir())
pathlib.Path("model.txt").write_text(f"model of {words} at {rate}")
json.dump({"accuracy": round(0.9 + rate, 4), "words": words}, open("metrics.json", "w"))
rows = "".join(f"{step},{1 / (step + 1 + rate)}\\n" for step in range(20))
pathlib.Path("curve.csv").write_text("step,loss\\n" + rows)
"""

SETTINGS = """
[test]
command = "python -c 'print(40 + 2)'"
[lint]
commands = ["python -m compileall -q src"]
[[gate]]
metric = "metrics.json:accuracy"
max_drop = 0.01
[forge]
kind = "folder"
"""


@dataclass(frozen=True)
class Run:
    """What one `mlbutler run` left: exit code, output, record."""

    code: int
    out: str
    err: str
    root: Path

    @property
    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / ".mlbutler" / "record.json").read_text())
        return found

    def outcome(self, step: str) -> str:
        return str(self.record[step]["outcome"])


@dataclass
class World:
    """All places; see `make`."""

    directory: Path
    clones: int = 0
    environ: dict[str, str] = field(default_factory=dict)
    folder: str = ""

    @property
    def bare(self) -> Path:
        return self.directory / "origin.git"

    @property
    def author(self) -> Path:
        return self.directory / "author"

    @property
    def project(self) -> Path:
        return self.author / self.folder

    @property
    def remote(self) -> Path:
        return self.directory / "dvc-remote"

    @property
    def mirror(self) -> Path:
        return self.directory / "mirror"

    @property
    def forge(self) -> Path:
        return self.directory / "forge"

    def base_environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in self.environ}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return kept | {"PATH": path, "DVC_NO_ANALYTICS": "1"} | self.environ

    def shell(self, directory: Path, *command: str) -> str:
        environ = self.base_environ() | IDENTITY
        if command[0] in ("python", sys.executable) and command[1] == "-m" and command[2] in ("dvc", "mlbutler"):
            done = forked_python.run(*command[2:], cwd=directory, env=environ)
        else:
            done = subprocess.run(command, cwd=directory, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def git(self, directory: Path, *args: str) -> str:
        return self.shell(directory, "git", *args)

    def dvc(self, *args: str) -> str:
        return self.shell(self.project, sys.executable, "-m", "dvc", *args)

    def branch(self, name: str, files: Mapping[str, str], message: str = "a change", start: str = "main") -> str:
        """The author changes files on a new branch and pushes it; returns the commit."""
        self.git(self.author, "checkout", "-q", "-B", name, start)
        for path, content in files.items():
            (self.project / path).parent.mkdir(parents=True, exist_ok=True)
            (self.project / path).write_text(content)
        self.git(self.author, "add", "-A")
        self.git(self.author, "commit", "-qm", message)
        self.git(self.author, "push", "-q", "-f", "origin", name)
        return self.git(self.author, "rev-parse", "HEAD")

    def clone(self, rev: str) -> Path:
        """A fresh clone as Jenkins makes it: detached at the commit. Returns the DVC project's root in it."""
        self.clones += 1
        target = self.directory / f"build-{self.clones}"
        self.git(self.directory, "clone", "-q", "--no-checkout", str(self.bare), str(target))
        self.git(target, "checkout", "-q", "--detach", rev)
        return target / self.folder

    def jenkins(self, branch: str, number: int = 1, **more: str) -> dict[str, str]:
        """The environment of a multibranch pull request build."""
        return {
            "JENKINS_URL": "http://jenkins.example/",
            "BUILD_URL": f"http://jenkins.example/job/x/{number}/",
            "GIT_URL": str(self.bare),
            "BRANCH_NAME": f"PR-{number}",
            "CHANGE_ID": str(number),
            "CHANGE_TARGET": "main",
            "CHANGE_BRANCH": branch,
            "CHANGE_TITLE": "A change",
            "CHANGE_URL": f"http://forge.example/pulls/{number}",
            "CHANGE_AUTHOR": "ada",
            **more,
        }

    def run(self, root: Path, environ: Mapping[str, str], *args: str, verb: str = "run") -> Run:
        """`mlbutler run` in a clone, as CI does it."""
        done = forked_python.run("mlbutler", verb, *args, cwd=root, env=self.run_environ(environ))
        return Run(done.returncode, done.stdout, done.stderr, root)

    def run_environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        places = {"MLBUTLER_DATA_MIRROR": str(self.mirror), "MLBUTLER_FORGE_URL": str(self.forge),
                  "MLBUTLER_FORGE_KIND": "folder"}  # fmt: skip
        return self.base_environ() | places | dict(environ)

    def change(self, branch: str, files: Mapping[str, str], *args: str, number: int = 1) -> Run:
        """The author's branch with `files`, and the run of its pull request in a fresh clone."""
        self.branch(branch, files)
        return self.run(self.clone(f"origin/{branch}"), self.jenkins(branch, number), *args)


def params(rate: float) -> str:
    return f"train: {{rate: {rate}}}\n"


def waits(places: Path) -> str:
    """Return the first lines of a stage that says it has begun, and goes on once a test lets it, or after minutes."""
    return (
        f"import pathlib, time\npathlib.Path({str(places / 'begun')!r}).touch()\n"
        f"until = time.monotonic() + 600\n"
        f"while not pathlib.Path({str(places / 'go')!r}).exists() and time.monotonic() < until:\n    time.sleep(0.05)\n"
    )


def began(places: Path, process: subprocess.Popen[Any]) -> bool:
    """Wait until such a stage has begun, however busy the machine is; False if the process ended before."""
    while not (begun := (places / "begun").exists()) and process.poll() is None:
        time.sleep(0.05)
    return begun


def make(
    directory: Path, *, folder: str = "", remote: str | None = None, environ: Mapping[str, str] | None = None
) -> World:
    """A world whose `main` is trained and pushed.

    Args:
        folder: the project's folder in the repository. remote: its DVC remote's URL; a directory if None.
    """
    template = _template(folder)
    shutil.copytree(template.directory, directory, symlinks=True, dirs_exist_ok=True)
    world = World(directory, environ=dict(environ or {}), folder=folder)
    if remote is not None:
        shutil.rmtree(world.remote)
    world.git(world.author, "remote", "set-url", "origin", str(world.bare))
    config = world.project / ".dvc" / "config"
    config.write_text(config.read_text().replace(str(template.remote), remote or str(world.remote)))
    world.git(world.author, "commit", "-qam", "first")
    world.git(world.author, "push", "-q", "origin", "main")
    return world


@contextmanager
def guarded(directory: Path, files: Mapping[str, str]) -> Iterator[World]:
    """A world whose DVC remote, over HTTP, asks for a password; its author sits at the server's disk."""
    (directory / "store").mkdir()
    remote = Remote(directory / "store", auth="basic")
    try:
        world = make(directory, remote=remote.url)
        world.dvc("remote", "modify", "origin", "auth", "basic")
        world.dvc("remote", "add", "-q", "--local", "author", str(directory / "store"))
        world.dvc("push", "-q", "-r", "author")
        for name, content in files.items():
            (world.project / name).write_text(content)
        world.git(world.author, "add", "-A")
        world.git(world.author, "commit", "-qm", "a remote that asks for a password")
        world.git(world.author, "push", "-q", "origin", "main")
        yield world
    finally:
        remote.close()


@functools.cache
def _template(folder: str) -> World:
    """What `make` copies and commits, once for each process; removed with its temporary files."""
    directory = Path(_TEMPORARY.name, str(len(list(Path(_TEMPORARY.name).iterdir()))))
    directory.mkdir()
    world = World(directory, folder=folder)
    world.git(directory, "init", "-q", "--bare", "-b", "main", str(world.bare))
    world.git(directory, "clone", "-q", str(world.bare), str(world.author))
    world.git(world.author, "checkout", "-q", "-b", "main")
    root = world.project
    (root / "data" / "raw").mkdir(parents=True)
    (root / "src").mkdir()
    for number in range(5):
        (root / "data" / "raw" / f"text {number} é.txt").write_text(f"some words {number}\n" * (number + 1))
    files = {"dvc.yaml": DVC_YAML, "src/prepare.py": PREPARE, "src/train.py": TRAIN, "mlbutler.toml": SETTINGS,
             "params.yaml": params(0.01)}  # fmt: skip
    for path, content in files.items():
        (root / path).write_text(content)
    world.dvc("init", "-q", *(["--subdir"] if folder else []))
    world.dvc("remote", "add", "-q", "-d", "origin", str(world.remote))
    world.dvc("add", "-q", "data/raw")
    world.dvc("repro", "-q")
    world.git(world.author, "add", "-A")
    world.dvc("push", "-q")
    return world


_TEMPORARY = tempfile.TemporaryDirectory(prefix="mlbutler-worlds-")
