"""DVC projects of many kinds, as `mlbutler init` may meet them."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests import forked_python

STAGES = """\
stages:
  train:
    cmd: python train.py
    deps: [train.py]
    metrics: [{metrics.json: {cache: false}}]
"""


@dataclass(frozen=True)
class Kind:
    """Files of a project, and what has to be found.

    Attributes:
        url: of the DVC remote. git: of Git's remote; '' for none. folder: where the project is in the repository.
        language, remote, forge, tests, linters: what `look` has to say.
    """

    files: Mapping[str, str]
    language: str
    url: str = "https://dagshub.com/ann/words.dvc"
    remote: str = "http"
    git: str = "https://github.com/ann/words.git"
    forge: str = "github"
    folder: str = ""
    tests: tuple[str, ...] = ()
    linters: tuple[str, ...] = ()
    config: Mapping[str, str] = field(default_factory=dict)


PY = {"train.py": "print(1)\n", "dvc.yaml": STAGES}
KINDS: dict[str, Kind] = {
    "pip": Kind(
        {**PY, "requirements.txt": "numpy\n-r more.txt\n-e .\n", "more.txt": "pytest==8\n", "setup.cfg": "[flake8]\n"},
        "python", tests=("pytest",), linters=("flake8",),
    ),
    "pyproject": Kind(
        {**PY, "src/words/__init__.py": "", "tests/test_it.py": "def test_it(): pass\n",
         "pyproject.toml": '[project]\nname = "words"\nrequires-python = ">=3.9,<3.11"\n[tool.ruff]\n[tool.mypy]\n'},
        "python", url="s3://bucket/words", remote="s3", git="git@gitlab.com:ann/words.git", forge="gitlab",
        tests=("pytest",), linters=("ruff", "mypy"),
    ),
    "uv": Kind(
        {**PY, "uv.lock": "", "pyproject.toml": '[project]\nname = "w"\n[tool.pytest.ini_options]\n'},
        "python", url="gs://bucket/words", remote="gs", tests=("pytest",),
    ),
    "poetry": Kind(
        {**PY, "poetry.lock": "", "pyproject.toml": '[tool.poetry.dependencies]\npython = "^3.12"\n'},
        "python", url="azure://box/words", remote="azure", git="https://bitbucket.org/ann/words.git",
        forge="bitbucket",
    ),
    "conda": Kind(
        {**PY, "environment.yml": "name: words\ndependencies: [python=3.11, pytest]\n", "Makefile": "test:\n\ttrue\n"},
        "conda", url="ssh://ann@store.example.org/words", remote="ssh", git="ssh://git@git.example.org:2222/a/w.git",
        forge="", tests=("pytest",),
    ),
    "r": Kind(
        {"dvc.yaml": STAGES.replace("python train.py", "Rscript train.R").replace("train.py", "train.R"),
         "train.R": "1\n", "renv.lock": "{}", "tests/testthat/test-it.R": "", ".lintr": "linters:"},
        "r", git="https://dagshub.com/ann/words.git", forge="dagshub", tests=("testthat",), linters=("lintr",),
    ),
    "node": Kind(
        {"dvc.yaml": STAGES.replace("python train.py", "node train.js").replace("train.py", "train.js"),
         "train.js": "1\n", "package.json": '{"scripts": {"test": "node --test", "lint": "eslint ."}}',
         "package-lock.json": "{}"},
        "node", url="/srv/dvc/words", remote="local", tests=("npm test",), linters=("npm run lint",),
    ),
    "shell": Kind(
        {"dvc.yaml": STAGES.replace("python train.py", "sh train.sh").replace("train.py", "train.sh"),
         "train.sh": "true\n", "tests/it.bats": "@test it { true; }\n", ".shellcheckrc": ""},
        "shell", url="", remote="", git="/srv/git/words.git", forge="", tests=("bats",), linters=("shellcheck",),
    ),
    "monorepo": Kind(
        {**PY, "requirements.txt": "pytest\n"}, "python", folder="teams/vision é", url="webdavs://dav.example.org/w",
        git="https://gitea.com/ann/words.git", forge="gitea", tests=("pytest",),
    ),
}  # fmt: skip


@functools.cache
def _init_project() -> Path:
    """An empty DVC project, made once."""
    root = Path(tempfile.mkdtemp(prefix="init-")) / "dvc"
    root.mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=root, check=True)
    assert forked_python.run("dvc", "init", "-q", cwd=root).returncode == 0
    return root


def make(directory: Path, kind: Kind) -> Path:
    """A committed project of this kind; returns its root."""
    top = directory / "clone"
    root = top / kind.folder
    shutil.copytree(_init_project() / ".git", top / ".git")
    shutil.copytree(_init_project() / ".dvc", root / ".dvc")
    for name, text in kind.files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    config = "[core]\n" + ("    no_scm = false\n" if not kind.folder else "")
    if kind.url:
        config += f"    remote = origin\n['remote \"origin\"']\n    url = {kind.url}\n"
    (root / ".dvc" / "config").write_text(config)
    named = [["remote", "add", "origin", kind.git]] if kind.git else []
    for words in (*named, ["add", "-A"], ["commit", "-qm", "a project"]):
        subprocess.run(
            ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *words], cwd=top, check=True,
            capture_output=True,
        )  # fmt: skip
    return root
