"""A real DVC project with a pushed state, built once for all tests, and clones of it as CI makes them."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests import forked_python

FILES = {"a b.txt": "one\n", "grüße.txt": "two\n", "q'uo\"te.txt": "three\n", "sub/line\nbreak.txt": "four\n"}

DVC_YAML = """
stages:
  prepare:
    cmd: mkdir -p prepared && cp -r data/. prepared/
    deps: [data]
    outs: [prepared]
  train:
    cmd: python train.py
    deps: [prepared, train.py]
    params: [rate]
    outs: [model.txt]
    metrics: [{metrics.json: {cache: false}}]
"""

TRAIN = """
import pathlib
rate = pathlib.Path("params.yaml").read_text().split()[1]
texts = [p.read_text() for p in sorted(pathlib.Path("prepared").rglob("*")) if p.is_file()]
pathlib.Path("model.txt").write_text(rate + "".join(texts))
pathlib.Path("metrics.json").write_text('{"rate": %s}' % rate)
with open("ran.log", "a") as log:
    log.write("ran ")
"""


def dvc(directory: Path, *args: str) -> str:
    """Run DVC there; its standard output and error."""
    environ = {**os.environ, "DVC_NO_ANALYTICS": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
    done = forked_python.run("dvc", *args, cwd=directory, env=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def status(directory: Path) -> object:
    """`dvc status --json`."""
    return json.loads(dvc(directory, "status", "--json").splitlines()[-1])


def commit(directory: Path, message: str) -> None:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "add", "-A"], cwd=directory, check=True)
    subprocess.run(["git", *identity, "commit", "-qm", message], cwd=directory, check=True)


@dataclass(frozen=True)
class Template:
    """`repo` has been reproduced and committed; `remote` is the directory it was pushed to."""

    repo: Path
    remote: Path


@functools.cache
def template() -> Template:
    """Built by the first test that asks; removed with the process' temporary files."""
    top = Path(_TEMPORARY.name)
    repo, remote = top / "repo", top / "remote"
    for name, text in FILES.items():
        (repo / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / "data" / name).write_text(text)
    (repo / "dvc.yaml").write_text(DVC_YAML)
    (repo / "train.py").write_text(TRAIN)
    (repo / "params.yaml").write_text("rate: 1\n")
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=repo, check=True)
    dvc(repo, "init", "-q")
    (repo / ".dvc" / "config").write_text(f"[core]\n    remote = origin\n['remote \"origin\"']\n    url = {remote}\n")
    (repo / ".gitignore").write_text("/ran.log\n/.mlbutler\n")
    dvc(repo, "add", "-q", "data")
    dvc(repo, "repro", "-q")
    dvc(repo, "push", "-q")
    commit(repo, "first")
    return Template(repo, remote)


def trained_model() -> bytes:
    """What training made of the template's data."""
    return (template().repo / "model.txt").read_bytes()


_TEMPORARY = tempfile.TemporaryDirectory(prefix="mlbutler-tests-")


@functools.cache
def reproduced_template() -> Path:
    """A clone whose changed param has been reproduced and not pushed."""
    root = clone(Path(_TEMPORARY.name) / "reproduced", str(template().remote))
    shutil.copytree(template().repo / ".dvc" / "cache", root / ".dvc" / "cache")
    (root / "params.yaml").write_text("rate: 2\n")
    dvc(root, "checkout", "-q")
    dvc(root, "repro", "-q")
    return root


def clone(directory: Path, url: str) -> Path:
    """A fresh clone without data whose remote is at `url`."""
    subprocess.run(["git", "clone", "-q", str(template().repo), str(directory)], check=True)
    point_to(directory, url)
    return directory


def point_to(directory: Path, url: str) -> None:
    """Give the project's remote another address."""
    (directory / ".dvc" / "config.local").write_text(f"['remote \"origin\"']\n    url = {url}\n")


def copy_remote(directory: Path) -> Path:
    """What was pushed, in a directory of the test's own."""
    shutil.copytree(template().remote, directory, dirs_exist_ok=True)
    return directory
