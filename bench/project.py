"""Make the measured project: a directory of files in DVC, one stage that reads it, a remote, a mirror."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.remote import PASSWORD, USER

_STAGE = """\
stages:
  count:
    cmd: python count.py
    deps: [count.py, data]
    metrics: [{metrics.json: {cache: false}}]
"""
_COUNT = """\
import json, os
json.dump({"files": len(os.listdir("data"))}, open("metrics.json", "w"))
"""


@dataclass(frozen=True)
class Project:
    """Where everything of one measured project lies.

    Attributes:
        repository: a bare Git repository. remote: the folder that the HTTP server serves.
        mirror: full. environ: of every measured process.
    """

    root: Path
    repository: Path
    remote: Path
    mirror: Path
    environ: Mapping[str, str]
    files: int

    def clone(self, name: str, url: str, certificate: Path | None = None) -> Path:
        """Make a fresh clone whose remotes are the HTTP server at `url` and, for DVC, the mirror."""
        target = self.root / name
        shutil.rmtree(target, ignore_errors=True)
        git(self.root, self.environ, "clone", "-q", str(self.repository), str(target))
        verified = f"    ssl_verify = {certificate}\n" if certificate else ""
        (target / ".dvc" / "config.local").write_text(
            f"['remote \"origin\"']\n    url = {url}\n    auth = basic\n    user = {USER}\n    password = {PASSWORD}\n"
            f"    method = PUT\n{verified}['remote \"jenkins_local\"']\n    url = {self.mirror}\n"
        )
        return target


def environment(root: Path) -> dict[str, str]:
    """Return a plain environment with a home and DVC's site cache of its own."""
    home = root / "home"
    home.mkdir(parents=True, exist_ok=True)
    return {
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(root / "site"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Bench", "GIT_AUTHOR_EMAIL": "bench@example.org",
        "GIT_COMMITTER_NAME": "Bench", "GIT_COMMITTER_EMAIL": "bench@example.org",
        "MLBUTLER_REMOTE_ORIGIN_USER": USER, "MLBUTLER_REMOTE_ORIGIN_PASSWORD": PASSWORD,
    }  # fmt: skip


def git(cwd: Path, environ: Mapping[str, str], *words: str) -> None:
    """Run git.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    subprocess.run(["git", *words], cwd=cwd, env=dict(environ), check=True, stdout=subprocess.DEVNULL)


def make(root: Path, files: int, size: int) -> Project:
    """Create the project with `files` files of `size` bytes; random, so that nothing compresses or repeats."""
    root.mkdir(parents=True)
    environ = environment(root)
    author, repository, remote, mirror = (root / name for name in ("author", "origin.git", "remote", "mirror"))
    git(root, environ, "init", "-q", "--bare", "-b", "main", str(repository))
    git(root, environ, "clone", "-q", str(repository), str(author))
    git(author, environ, "checkout", "-q", "-b", "main")
    data = author / "data"
    data.mkdir()
    generator = random.Random(files)
    for number in range(files):
        with (data / f"{number:07}.bin").open("wb") as file:
            for _ in range(max(size >> 20, 1)):
                file.write(generator.randbytes(min(size, 1 << 20)))
    (author / "dvc.yaml").write_text(_STAGE)
    (author / "count.py").write_text(_COUNT)
    dvc = [sys.executable, "-m", "dvc"]
    for words in (
        ["init", "-q"], ["config", "cache.type", "hardlink,copy"], ["add", "-q", "data"],
        ["config", "--unset", "cache.type"], ["remote", "add", "-q", "--default", "origin", "http://127.0.0.1:1"],
        ["repro", "-q"],
    ):  # fmt: skip
        subprocess.run([*dvc, *words], cwd=author, env=environ, check=True)
    git(author, environ, "add", "-A")
    git(author, environ, "commit", "-qm", "measured project")
    git(author, environ, "push", "-q", "origin", "main")
    objects = author / ".dvc" / "cache"
    for copy in (remote, mirror):
        copy.mkdir()
        shutil.copytree(objects / "files", copy / "files")
    shutil.rmtree(author)
    return Project(root, repository, remote, mirror, environ, files)
