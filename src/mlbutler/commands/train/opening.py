"""Open the experiments of a project, and find those that a command line names."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlbutler.commands.start import find_project
from mlbutler.console import Console
from mlbutler.errors import Interrupted, UsageError
from mlbutler.experiments.all_experiments import AllExperiments, Engines
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.local import LocalEngine, host_name
from mlbutler.experiments.refs import Experiments, StoredExperiment
from mlbutler.experiments.shared import SharedExperiments, sharing_remote
from mlbutler.experiments.train_folder import TrainFolder
from mlbutler.frozen import frozen
from mlbutler.git import Git
from mlbutler.held_back import in_ci, values_to_hide
from mlbutler.secrets import Redactor
from mlbutler.settings import LoadedSettings, Settings, load

if TYPE_CHECKING:
    from mlbutler.experiments.on_jenkins import JenkinsEngine
    from mlbutler.project.project import Project


@frozen
class Training:
    """The experiments of one project.

    Attributes:
        git: at the repository's root. prefix: the project's path from there, '' or ``sub/folder/``.
    """

    git: Git
    prefix: str
    settings: Settings
    experiments: AllExperiments
    folder: TrainFolder
    engines: Engines
    console: Console

    def project(self) -> Project:
        """Return the DVC project in the work tree, with the remotes that the settings name."""
        from mlbutler.project.opened import ProjectOptions
        from mlbutler.project.project import Project

        data = self.settings.data
        options = ProjectOptions(mirror=data.mirror_path(self.folder.root))
        project = Project(self.folder.root, os.environ, chosen=data.remote or "", options=options)
        project.choose_remotes(data.remote, data.mirror_remote)
        return project

    def all(self) -> list[StoredExperiment]:
        """Return the experiments of this project as they are now, in the order of submission."""
        mine = tuple(kept for kept in self.experiments.all() if kept.experiment.project == self.prefix)
        found = list(self.engines.refresh(self.experiments, mine))
        if said := self.engines.unreported_error():
            self.console.error(f"{said} What it knows of them is not shown.")
        return found

    def users(self) -> frozenset[str]:
        """Return the names of this user: in Jenkins, in Git and on this machine.

        Raises:
            UsageError: the token would go to a controller that only a commit names.
        """
        jenkins = self.engines.jenkins.job.client.user if self.engines.has_jenkins else ""
        own = self.git.run("config", "user.name", check=False).text
        return frozenset(name for name in (jenkins, own, os.environ.get("USER", "")) if name)

    def is_sent_by(self, experiment: Experiment, users: Collection[str]) -> bool:
        """Return whether one of these users has sent it; what runs on this machine has no user, and is this one's."""
        return experiment.user in users if experiment.user else experiment.host == host_name()

    def select(self, names: Sequence[str]) -> list[StoredExperiment]:
        """Return the experiments that match: by name, pattern, grid, or the beginning of an id.

        Raises:
            UsageError: a name is none's.
        """
        there = self.all()
        found: dict[str, StoredExperiment] = {}
        for name in names:
            matching = [kept for kept in there if _is_meant(kept.experiment, name)]
            if not matching:
                raise self._unknown(name)
            found |= {kept.experiment.id: kept for kept in matching}
        return list(found.values())

    def _unknown(self, name: str) -> UsageError:
        """Return the error for a name that only DVC may know: results, without what mlbutler keeps of them."""
        refs = self.git.run("for-each-ref", "--format=%(refname)", "refs/exps").text.splitlines()
        if any(ref.endswith(f"/{name}") for ref in refs):
            return UsageError(
                f"'{name}' is an experiment of DVC that was not sent from this clone: only its results are here.",
                f"dvc exp apply {name} brings them into the work tree; dvc exp show shows them.",
            )
        return UsageError(f"There is no experiment '{name}'.", "`mlbutler train list` shows them all.")

    def select_one(self, name: str) -> StoredExperiment:
        """Return the one experiment of this name.

        Raises:
            UsageError: there is none, or several.
        """
        found = self.select([name])
        if len(found) > 1:
            names = ", ".join(kept.experiment.name for kept in found[:5])
            raise UsageError(f"'{name}' are several experiments: {names}.", "Name one of them, or its id.")
        return found[0]


def _is_meant(experiment: Experiment, name: str) -> bool:
    if name in (experiment.name, experiment.grid):
        return True
    return fnmatchcase(experiment.name, name) or (len(name) >= 6 and experiment.id.startswith(name))


def open_training(directory: Path, console: Console) -> Training:
    """Open the experiments of the project that `directory` is in.

    Raises:
        UsageError: no project, no Git repository, no commit; or this is a CI server's build. SettingsError.
    """
    environ = os.environ
    console.redactor = Redactor(values_to_hide(environ))
    if in_ci(environ):
        raise UsageError(
            "Experiments are sent by people, and this is the build of a CI server.",
            "Use `mlbutler run` there: it reproduces what is stale.",
        )
    root, git = find_project(directory, environ)
    top = git.toplevel()
    relative = root.relative_to(top.resolve()).as_posix()
    prefix = "" if relative == "." else f"{relative}/"
    at_top, loaded, folder = git.at(top), load(root, environ), TrainFolder(root)
    here, shared, open_jenkins = Experiments(at_top), None, None
    if loaded.settings.train.on_jenkins:
        shared = SharedExperiments(at_top, sharing_remote(at_top, loaded.settings.project.git_remote))
        open_jenkins = partial(_connect, at_top, prefix, loaded, shared, console)
    return Training(
        at_top, prefix, loaded.settings, AllExperiments(here, shared, console.error), folder,
        Engines(LocalEngine(here, folder), open_jenkins), console,
    )  # fmt: skip


def _connect(
    git: Git, prefix: str, loaded: LoadedSettings, shared: SharedExperiments, console: Console
) -> JenkinsEngine:
    from mlbutler.experiments.connecting import connect_jenkins

    return connect_jenkins(git, prefix, loaded, shared, console, os.environ)


def experiment_json(training: Training, experiment: Experiment) -> dict[str, Any]:
    """Return an experiment for a JSON document."""
    found = dataclasses.asdict(experiment.with_(state=training.engines.effective_state(experiment)))
    return {name: value for name, value in found.items() if name not in ("version", "cancel", "jobs", "proposed")}


def print_experiments(training: Training, experiments: Iterable[Experiment], **more: Any) -> None:
    """Print experiments as a JSON document, with `more` in it."""
    print_json({"experiments": [experiment_json(training, one) for one in experiments], **more})


def print_json(document: Any) -> None:
    """Print a JSON document on standard output."""
    print(json_text(document))


def json_text(document: Any) -> str:
    """Return a JSON document as text."""
    return json.dumps(document, indent=2, ensure_ascii=False)


@contextmanager
def explain_interrupt(*words: str) -> Iterator[None]:
    """Explain on Ctrl-C that the experiments go on, and how to come back.

    Args:
        words: those after `mlbutler train`, to come back.

    Raises:
        Interrupted: Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        raise Interrupted(
            "Interrupted: the experiments go on.",
            f"`{shlex.join(('mlbutler', 'train', *words))}` comes back to them, `mlbutler train cancel` ends them.",
        ) from stop
