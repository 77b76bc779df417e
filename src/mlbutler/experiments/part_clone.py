"""A clone with only those files checked out that a plan reads: a repository may hold many thousands of others."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from mlbutler.experiments.experiment import Experiment
from mlbutler.git import Git
from mlbutler.reproduce.scratch import make_clone

_OWN = ("dvc.yaml", "dvc.lock", "params.yaml", ".dvcignore", ".gitignore")
_DESCRIBED = (*_OWN, *(f"*/{name}" for name in _OWN), "*.dvc", ".dvc*/*", "*/.dvc*/*")
"""What describes DVC projects, as patterns of Git's; `*` takes slashes too."""


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
            git,
            folder,
            experiment.input,
            experiment.project,
            environ,
            lay_out=lambda _: self._lay_out(self._project_files()),
        )

    def go_to(self, experiment: Experiment) -> None:
        """Change it to another experiment of the same project."""
        for path in {*self._git.changed_paths(self._input, experiment.input)} & self._there:
            (self._git.directory / path).unlink(missing_ok=True)
            self._there.discard(path)
        self._git.run("read-tree", "--reset", experiment.input)
        self._input = experiment.input
        self._lay_out(self._project_files())
        self._lay_out(self._below())

    def lay_out(self, paths: Iterable[str]) -> None:
        """Lay out files and folders too.

        Args:
            paths: from the project's root; an empty one is all of it.
        """
        named = (os.path.normpath(f"{self._prefix}{path}") for path in paths)
        self._wanted |= {path for path in named if not path.startswith(("/", "../"))}
        self._lay_out(self._below())

    def _project_files(self) -> list[str]:
        out = self._git.run("ls-files", "-z", "--", *_DESCRIBED).out
        return [os.fsdecode(path) for path in out.split(b"\0") if path]

    def _below(self) -> list[str]:
        return self._git.tracked_paths_below(sorted(self._wanted))

    def _lay_out(self, wanted: Iterable[str]) -> None:
        due = {path for path in wanted if path not in self._there}
        if due:
            names = b"".join(os.fsencode(path) + b"\0" for path in due)
            self._git.run("checkout-index", "--force", "--quiet", "-z", "--stdin", input=names)
            self._there |= due
