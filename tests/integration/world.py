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
from contextlib import contextmanager, suppress
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

# The stages run hundreds of times: they import nothing that Python has not imported itself when it starts.
PREPARE = """
import os
os.makedirs("prepared", exist_ok=True)
for name in sorted(os.listdir("data/raw")):
    with open(f"data/raw/{name}") as read, open(f"prepared/{name}", "w") as written:
        written.write(read.read().upper())
"""

TRAIN = """
import os
rate = eval(open("params.yaml").read().partition("rate:")[2].strip(" }\\n"))
words = sum(len(open(f"prepared/{name}").read()) for name in os.listdir("prepared"))
accuracy = round(0.9 + rate, 4)
open("model.txt", "w").write(f"model of {words} at {rate}")
open("metrics.json", "w").write(f'{{"accuracy": {accuracy}, "words": {words}}}')
rows = "".join(f"{step},{1 / (step + 1 + rate)}\\n" for step in range(20))
open("curve.csv", "w").write("step,loss\\n" + rows)
"""

TESTED, LINTED = "echo 42", "test -f src/train.py"
SETTINGS = f"""
[test]
command = "{TESTED}"
[lint]
commands = ["{LINTED}"]
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
        self.begin_branch(name, start)
        for path, content in files.items():
            (self.project / path).parent.mkdir(parents=True, exist_ok=True)
            (self.project / path).write_text(content)
        self.git(self.author, "add", "-A")
        self.git(self.author, "commit", "-qm", message)
        return self.push(name)

    def begin_branch(self, name: str, start: str = "main") -> None:
        """Have the author work on a branch; it takes no process where what is checked out is its start."""
        git = self.author / ".git"
        heads, kind = git / "refs" / "heads", "ref: refs/heads/"
        head = (git / "HEAD").read_text().strip()
        here, begun = heads / head.removeprefix(kind), heads / start
        if head.startswith(kind) and begun.is_file() and here.is_file() and here.read_text() == begun.read_text():
            (heads / name).parent.mkdir(parents=True, exist_ok=True)
            (heads / name).write_text(begun.read_text())
            (git / "HEAD").write_text(f"{kind}{name}\n")
        else:
            self.git(self.author, "checkout", "-q", "-B", name, start)

    def push(self, name: str) -> str:
        """Put the author's branch where ``git push --force`` would, which takes nine processes; returns the commit."""
        git = self.author / ".git"
        shutil.copytree(git / "objects", self.bare / "objects", copy_function=_link, dirs_exist_ok=True)
        commit = (git / "refs" / "heads" / name).read_text()
        for ref in (self.bare / "refs" / "heads" / name, git / "refs" / "remotes" / "origin" / name):
            ref.parent.mkdir(parents=True, exist_ok=True)
            ref.write_text(commit)
        return commit.strip()

    def share(self) -> None:
        """Put the author's objects where ``dvc push`` would, without importing DVC for it."""
        files = self.project / ".dvc" / "cache" / "files"
        shutil.copytree(files, self.remote / "files", copy_function=_copy, dirs_exist_ok=True)

    def clone(self, rev: str) -> Path:
        """A fresh clone as Jenkins makes it: detached at the commit. Returns the DVC project's root in it.

        It is what ``git clone --no-checkout`` makes, which takes four processes.
        """
        self.clones += 1
        target = self.directory / f"build-{self.clones}"
        git = target / ".git"
        shutil.copytree(self.bare / "objects", git / "objects", copy_function=_link)
        for there, here in (("heads", "remotes/origin"), ("tags", "tags")):
            if (self.bare / "refs" / there).exists():
                shutil.copytree(self.bare / "refs" / there, git / "refs" / here)
        assert not (self.bare / "packed-refs").exists()
        for folder in ("refs/heads", "hooks", "info"):
            (git / folder).mkdir()
        shutil.copy(git / "refs" / "remotes" / "origin" / "main", git / "refs" / "heads")
        (git / "refs" / "remotes" / "origin" / "HEAD").write_text("ref: refs/remotes/origin/main\n")
        (git / "HEAD").write_text("ref: refs/heads/main\n")
        (git / "config").write_text(_CLONED.format(origin=self.bare))
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
        f"import os, time\nopen({str(places / 'begun')!r}, 'w').close()\n"
        f"until = time.monotonic() + 600\n"
        f"while not os.path.exists({str(places / 'go')!r}) and time.monotonic() < until:\n    time.sleep(0.05)\n"
    )


def began(places: Path, process: subprocess.Popen[Any]) -> bool:
    """Wait until such a stage has begun, however busy the machine is; False if the process ended before."""
    while not (begun := (places / "begun").exists()) and process.poll() is None:
        time.sleep(0.05)
    return begun


def make(
    directory: Path,
    *,
    folder: str = "",
    remote: str | None = None,
    environ: Mapping[str, str] | None = None,
    files: tuple[tuple[str, str], ...] = (),
) -> World:
    """A world whose `main` is trained and pushed.

    Args:
        folder: the project's folder in the repository. remote: its DVC remote's URL; a directory if None.
        files: those that it has instead of the usual ones.
    """
    world = copied(trained(folder, files), directory, remote)
    world.environ.update(environ or {})
    world.git(world.author, "commit", "-qam", "first")
    world.push("main")
    return world


def begin(world: World) -> None:
    """Make an empty repository and its author's, which do nothing in the background."""
    for place, *options in ((world.bare, "--bare"), (world.author,)):
        world.git(world.directory, "init", "-q", *options, "-b", "main", "--template=", str(place))
    (world.bare / "hooks").mkdir()
    world.git(world.author, "remote", "add", "origin", str(world.bare))
    for file in (world.bare / "config", world.author / ".git" / "config"):
        file.write_text(f"{file.read_text()}{_IDLE}")


_CLONED = """[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = false
\tlogallrefupdates = true
[remote "origin"]
\turl = {origin}
\tfetch = +refs/heads/*:refs/remotes/origin/*
[branch "main"]
\tremote = origin
\tmerge = refs/heads/main
"""
_IDLE = "[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n[receive]\n\tautogc = false\n[core]\n\tfsync = none\n"


def _copy(source: str, target: str) -> None:
    if not Path(target).exists():
        shutil.copy2(source, target)


def _link(source: str, target: str) -> None:
    with suppress(FileExistsError):
        os.link(source, target)


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


def copied(template: World, directory: Path, remote: str | None) -> World:
    """Copy a world that is still to be committed; `remote` is its DVC remote's URL, a directory if None."""
    left_out = None if remote is None else shutil.ignore_patterns(template.remote.name)
    shutil.copytree(template.directory, directory, symlinks=True, dirs_exist_ok=True, ignore=left_out)
    world = World(directory, folder=template.folder)
    for file, address, new in (
        (world.author / ".git" / "config", template.bare, str(world.bare)),
        (world.project / ".dvc" / "config", template.remote, remote or str(world.remote)),
    ):
        file.write_text(file.read_text().replace(str(address), new))
    return world


@functools.cache
def trained(folder: str, files: tuple[tuple[str, str], ...]) -> World:
    """What `make` copies and commits, once for each process; removed with its temporary files."""
    directory = Path(tempfile.mkdtemp(dir=_TEMPORARY.name))
    if folder:
        return _moved(copied(trained("", files), directory, None), folder)
    if files:
        world = copied(trained("", ()), directory, None)
        for path, content in files:
            (world.project / path).write_text(content)
        return _run_and_push(world)
    world = World(directory)
    begin(world)
    root = world.project
    (root / "data" / "raw").mkdir(parents=True)
    (root / "src").mkdir()
    for number in range(5):
        (root / "data" / "raw" / f"text {number} é.txt").write_text(f"some words {number}\n" * (number + 1))
    usual = {"dvc.yaml": DVC_YAML, "src/prepare.py": PREPARE, "src/train.py": TRAIN, "mlbutler.toml": SETTINGS,
             "params.yaml": params(0.01)}  # fmt: skip
    for path, content in usual.items():
        (root / path).write_text(content)
    world.dvc("init", "-q")
    world.dvc("remote", "add", "-q", "-d", "origin", str(world.remote))
    world.dvc("add", "-q", "data/raw")
    return _run_and_push(world)


def _moved(world: World, folder: str) -> World:
    """Move the project into a folder of the repository, where ``dvc init --subdir`` would have made the same."""
    project = [path for path in world.author.iterdir() if path.name != ".git"]
    moved = World(world.directory, folder=folder)
    moved.project.mkdir(parents=True)
    for path in project:
        path.rename(moved.project / path.name)
    moved.git(moved.author, "add", "-A")
    return moved


def _run_and_push(world: World) -> World:
    world.dvc("repro", "-q")
    world.git(world.author, "add", "-A")
    world.git(world.author, "repack", "-adnq")  # a file for each object, in a folder of its own, takes long to copy
    world.dvc("push", "-q")
    return world


_TEMPORARY = tempfile.TemporaryDirectory(prefix="mlbutler-worlds-")
