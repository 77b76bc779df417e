"""A clone in which only those files are laid out that a plan reads: a repository may hold many thousands of others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from mlbutler.git import Git
from mlbutler.reproduce.scratch import make_clone
from mlbutler.train.experiment import Experiment

_OWN = ("dvc.yaml", "dvc.lock", "params.yaml", ".dvcignore", ".gitignore")


class PartClone:
    """A clone at an experiment's input, with the files that describe DVC projects.

    Args:
        git: at the repository's root. folder: a new one. environ: for git in it; holds no credentials.

    Attributes:
        root: the project's root in it.
    """

    def __init__(self, git: Git, folder: Path, experiment: Experiment, environ: dict[str, str]) -> None:
        self._git, self._prefix, self._input = Git(folder, environ), experiment.project, experiment.input
        self._there: set[str] = set()
        self._wanted: set[str] = set()
        self.root = make_clone(
            git, folder, experiment.input, experiment.project, environ, lay_out=lambda _: self._lay_out(_is_described)
        )

    def go_to(self, experiment: Experiment) -> None:
        """Change it to another experiment of the same project."""
        for path in {*self._git.changed(self._input, experiment.input)} & self._there:
            (self._git.directory / path).unlink(missing_ok=True)
            self._there.discard(path)
        self._git.run("read-tree", "--reset", experiment.input)
        self._input = experiment.input
        self._lay_out(lambda path: _is_described(path) or _is_below(path, self._wanted))

    def lay_out(self, paths: Iterable[str]) -> None:
        """Lay out files and folders too.

        Args:
            paths: from the project's root; an empty one is all of it.
        """
        self._wanted |= {os.path.normpath(f"{self._prefix}{path}") for path in paths}
        self._lay_out(lambda path: _is_below(path, self._wanted))

    def _lay_out(self, wanted: Callable[[str], bool]) -> None:
        listed = (os.fsdecode(path) for path in self._git.run("ls-files", "-z").out.split(b"\0") if path)
        due = [path for path in listed if path not in self._there and wanted(path)]
        if due:
            names = b"".join(os.fsencode(path) + b"\0" for path in due)
            self._git.run("checkout-index", "--force", "--quiet", "-z", "--stdin", input=names)
            self._there |= set(due)


def _is_described(path: str) -> bool:
    folder, _, name = f"/{path}".rpartition("/")
    return name in _OWN or name.endswith(".dvc") or "/.dvc" in folder


def _is_below(path: str, folders: set[str]) -> bool:
    if path in folders or "." in folders:
        return True
    return any(parent in folders for parent in _parents(path))


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
