"""The places of the demo world, and the author's work in it.

Nothing outside of the world's folder is read or written: git and DVC get a home of their own, so that neither the
user's configuration nor a missing one changes the story.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlbutler.console import Console
from mlbutler.errors import EXIT_JUDGED, MlbutlerError
from mlbutler.git import Git
from mlbutler.process import run_command

_TEMPLATE = Path(__file__).parent / "template"
_KEPT = ("LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "USER", "LOGNAME", "LD_LIBRARY_PATH", "NO_COLOR")
_TIMEOUT = 600.0


class StoryBroken(MlbutlerError):
    """Something in the demo did not happen as told."""

    exit_code = EXIT_JUDGED


@dataclass(frozen=True)
class Called:
    """A program that has ended. `seconds`: how long it took; `tail`: the last lines that it printed."""

    exit_code: int
    seconds: float
    tail: tuple[str, ...]


@dataclass(frozen=True)
class World:
    """The folder `directory` (absolute) and what lies in it."""

    directory: Path

    @property
    def forge(self) -> Path:
        """Return the folder forge: pull requests, comments and statuses as files."""
        return self.directory / "forge"

    @property
    def repository(self) -> Path:
        """Return the bare repository on the forge."""
        return self.forge / "repository.git"

    @property
    def project(self) -> Path:
        """Return the author's clone."""
        return self.directory / "project"

    @property
    def remote(self) -> Path:
        """Return the shared DVC remote."""
        return self.directory / "remote"

    @property
    def mirror(self) -> Path:
        """Return the agent's mirror."""
        return self.directory / "agent" / "mirror"

    @property
    def workspaces(self) -> Path:
        """Return the folder that the agent clones into."""
        return self.directory / "agent" / "workspaces"

    def environ(self) -> dict[str, str]:
        """Return the environment that everybody in the world starts from: no credentials, no CI, an empty home."""
        home = self.directory / "home"
        kept = {name: value for name in _KEPT if (value := os.environ.get(name))}
        if path := os.environ.get("PYTHONPATH"):  # a source tree: children run elsewhere
            kept["PYTHONPATH"] = os.pathsep.join(str(Path(part).resolve()) for part in path.split(os.pathsep) if part)
        return kept | {
            "HOME": str(home),
            "PATH": os.pathsep.join([str(self.directory / "bin"), os.environ.get("PATH", os.defpath)]),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "DVC_NO_ANALYTICS": "1",
            "DVC_GLOBAL_CONFIG_DIR": str(home / "dvc-global"),
            "DVC_SYSTEM_CONFIG_DIR": str(home / "dvc-system"),
            "DVC_SITE_CACHE_DIR": str(home / "dvc-site"),
        }

    def programs(self) -> tuple[Path, ...]:
        """Return the folders of the interpreter that runs the stages, and of what they import."""
        imported = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        found = [
            self.directory / "bin",
            Path(sys.prefix),
            Path(sys.base_prefix),
            *(Path(part) for part in imported if part),
        ]
        return tuple(dict.fromkeys(path.resolve() for path in found))

    def git(self, directory: Path) -> Git:
        """Run git in a folder of the world."""
        return Git(directory, self.environ())

    def call(
        self, module: str, arguments: Sequence[str], *, cwd: Path, environ: Mapping[str, str], console: Console
    ) -> Called:
        """Run a Python module as a program and show its output as it comes.

        Raises:
            StoryBroken: it took longer than ten minutes. Interrupted: Ctrl-C.
        """
        done = run_command(
            [sys.executable, "-m", module, *arguments], cwd=cwd, environ=environ, timeout=_TIMEOUT,
            on_line=lambda line: console.line(f"  | {line}".rstrip()),
        )  # fmt: skip
        if done.exit_code is None:
            raise StoryBroken(f"{module} {arguments[0]} did not end within {_TIMEOUT:.0f} s.", "Is the machine busy?")
        return Called(done.exit_code, done.duration, done.tail)

    def mlbutler(self, *arguments: str, console: Console) -> int:
        """Run mlbutler in the author's clone; return its exit code."""
        return self.call("mlbutler", arguments, cwd=self.project, environ=self.environ(), console=console).exit_code

    def begin(self, *arguments: str, console: Console) -> int:
        """Run a verb that leaves processes running, which `call` would end; return its exit code."""
        done = subprocess.run(
            [sys.executable, "-m", "mlbutler", *arguments], cwd=self.project, env=self.environ(), check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )  # fmt: skip
        for line in done.stdout.splitlines():
            console.line(f"  | {line}".rstrip())
        return done.returncode

    def dvc(self, *arguments: str, console: Console) -> tuple[str, ...]:
        """Run DVC in the author's clone; return what it said last.

        Raises:
            StoryBroken: it failed.
        """
        done = self.call("dvc", arguments, cwd=self.project, environ=self.environ(), console=console)
        if done.exit_code != 0:
            said = f"dvc {arguments[0]} failed with exit code {done.exit_code}."
            raise StoryBroken(said, f"Look into {self.project}.")
        return done.tail


def create(directory: Path) -> World:
    """Create the world's folders and an empty repository on its forge."""
    world = World(directory)
    for folder in (world.repository, world.remote, world.workspaces, directory / "home", directory / "bin"):
        folder.mkdir(parents=True)
    # The stages say `python`: for them that is the interpreter that runs us, whatever it is called.
    program = directory / "bin" / "python"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    world.git(world.repository).run("init", "--quiet", "--bare", "--initial-branch=main")
    return world


def create_project(world: World, console: Console) -> int:
    """Make the project, train `main` and push code and data, as the author; return the number of pictures."""
    from mlbutler.demo.pictures import write_digits

    git = world.git(world.project.parent)
    git.run("clone", "--quiet", str(world.repository), str(world.project))
    git = world.git(world.project)
    # Git warns of an empty clone's missing branch; this also holds where the clone's default is another name.
    git.run("symbolic-ref", "HEAD", "refs/heads/main")
    git.run("config", "user.name", "Ada Author")
    git.run("config", "user.email", "ada@example.org")
    shutil.copytree(_TEMPLATE, world.project, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    pictures = write_digits(world.project / "data" / "digits")
    world.dvc("init", "--quiet", console=console)
    world.dvc("remote", "add", "--quiet", "--default", "shared", str(world.remote), console=console)
    world.dvc("add", "--quiet", "data/digits", console=console)
    world.dvc("repro", console=console)
    world.dvc("push", console=console)
    git.run("add", "--all")
    git.run("commit", "--quiet", "--message=Tell digits apart")
    git.run("push", "--quiet", "--set-upstream", "origin", "main")
    return pictures


def change_params(world: World, branch: str, message: str, changes: Mapping[str, tuple[str, str]]) -> str:
    """Change params on a new branch from `main` and push it, as the author; return the commit.

    Args:
        changes: param of the stage train -> (old, new).

    Raises:
        StoryBroken: a param does not have the old value.
    """
    git = world.git(world.project)
    git.run("switch", "--quiet", "--create", branch, "main")
    file = world.project / "params.yaml"
    text = file.read_text(encoding="utf-8")
    for name, (old, new) in changes.items():
        if text.count(f"  {name}: {old}\n") != 1:
            raise StoryBroken(f"params.yaml has no '{name}: {old}'.", "Run the demo in a new folder.")
        text = text.replace(f"  {name}: {old}\n", f"  {name}: {new}\n")
    file.write_text(text, encoding="utf-8")
    git.run("commit", "--quiet", "--all", f"--message={message}")
    git.run("push", "--quiet", "--set-upstream", "origin", branch)
    return git.head()
