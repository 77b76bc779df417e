"""Plan experiments before they are sent: which stages run, and what is to be downloaded."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping

from mlbutler.errors import ProjectError
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.part_clone import PartClone
from mlbutler.experiments.train_folder import TrainFolder
from mlbutler.frozen import frozen
from mlbutler.git import Git
from mlbutler.process import project_environment
from mlbutler.project.opened import ProjectOptions
from mlbutler.project.paths import read_paths
from mlbutler.project.project import Project
from mlbutler.record import StagePlan, StageState
from mlbutler.reproduce.scratch import configure


@frozen
class ExperimentPlan:
    """The plan of one experiment. `download`: bytes that its stages need and no store here holds; None: not known."""

    stages: tuple[StagePlan, ...]
    download: int | None

    def names(self, *states: StageState) -> tuple[str, ...]:
        """Return the stages in one of these states."""
        return tuple(stage.name for stage in self.stages if stage.state in states)


def plan_experiments(
    git: Git, folder: TrainFolder, main: Project, experiments: Iterable[Experiment], environ: Mapping[str, str]
) -> Iterator[ExperimentPlan]:
    """Yield the plan of each experiment.

    Args:
        git: at the repository's root. main: the project in the work tree. environ: with the credentials of remotes.

    Raises:
        UsageError: a target names no stage. ProjectError: the project cannot be read.
    """
    clone_folder = folder.path / f"plan-{os.getpid()}"
    shutil.rmtree(clone_folder, ignore_errors=True)
    clone: PartClone | None = None
    try:
        for experiment in experiments:
            if clone is None:
                clone = PartClone(git, clone_folder, experiment, project_environment(environ))
                configure(clone.root, main.cache_dir, main.remote_directories())
            else:
                clone.go_to(experiment)
            with contextlib.chdir(clone.root):  # DVC names stages relative to the current directory
                project = _open_project(clone, main, environ)
                stages = project.planning.plan(experiment.targets)
                yield ExperimentPlan(stages, project.planning.missing_bytes(stages))
    finally:
        shutil.rmtree(clone_folder, ignore_errors=True)


def _open_project(clone: PartClone, main: Project, environ: Mapping[str, str]) -> Project:
    """Open the project in a clone in which all lies that its stages read."""
    try:
        clone.lay_out(read_paths(Project(clone.root, environ).stages))
    except ProjectError:  # templates may be filled in from any file
        clone.lay_out([""])
    options = ProjectOptions(mirror=main.mirror, mirror_remote=main.mirror_remote)
    project = Project(clone.root, environ, options=options)
    if main.remote_name in project.remote_names():
        project.choose_remotes(main.remote_name)
    return project
