"""The build of a CI server that was given an experiment: its work tree, its steps, and the experiment's state."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlbutler.change.access import access
from mlbutler.ci import facts
from mlbutler.commands.start import begin, find_project
from mlbutler.console import Console
from mlbutler.errors import UsageError
from mlbutler.experiments.assigned_experiment import AssignedExperiment
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.fields import is_id
from mlbutler.experiments.shared import SharedExperiments
from mlbutler.frozen import frozen
from mlbutler.git import Git
from mlbutler.held_back import values_to_hide
from mlbutler.pipeline import run_step
from mlbutler.record import Outcome, StepResult
from mlbutler.secrets import Redactor
from mlbutler.settings import load
from mlbutler.steps.context import RunContext
from mlbutler.variables import TRAIN_EXPERIMENT, TRUST

# What the CI server says of a branch: it is that of the pipeline's own text, not of the experiment.
_OF_THE_BRANCH = ("BRANCH_NAME", "GIT_BRANCH", "GIT_LOCAL_BRANCH", "GIT_COMMIT", "TAG_NAME")


@frozen
class ExperimentBuild:
    """A build's work tree, and the experiment that the build was given. `git`: at the repository's root."""

    root: Path
    git: Git
    remote: str
    experiments: SharedExperiments
    id: str
    assigned: AssignedExperiment
    console: Console

    @contextmanager
    def open_run(self, experiment: Experiment) -> Iterator[RunContext]:
        """Open the run whose steps `run_steps` runs, as their verbs do.

        Raises:
            MlbutlerError: it could not begin. Interrupted: this process was asked to stop.
        """
        if experiment.targets:
            os.environ["MLBUTLER_REPRODUCE_TARGETS"] = json.dumps(list(experiment.targets))
        with begin(self.root, self.console) as context:
            yield context


def run_steps(context: RunContext, *names: str) -> tuple[int, StepResult]:
    """Run steps up to the first that has an error; return exit code and result of the last one."""
    for name in names:
        code, result = run_step(context, name), getattr(context.record, name)
        if result.outcome is Outcome.ERROR:
            break
    return code, result


def open_build(directory: Path, console: Console, *, fresh: bool = False) -> ExperimentBuild:
    """Open the build's work tree.

    Args:
        fresh: nothing of the project has run here.

    Raises:
        UsageError: this is no CI server's build, or it was given no experiment.
    """
    environ = os.environ
    console.redactor = Redactor(values_to_hide(environ))
    found = facts(environ)
    if found.ci == "local":
        raise UsageError("`mlbutler train agent` is for the builds of a CI server.", "Use `mlbutler train` here.")
    id = environ.get(TRAIN_EXPERIMENT, "")
    if not is_id(id):
        raise UsageError(
            f"{TRAIN_EXPERIMENT} does not hold the id of an experiment.", "The pipeline sets it: mlbutlerTrain()."
        )
    if not found.build_url:  # which tells it from other builds that were given the same experiment
        raise UsageError(
            "The build's address (BUILD_URL) is not known.",
            "Set the controller's: Manage Jenkins, System, Jenkins URL.",
        )
    trust_experiment()
    root, git = find_project(directory, environ)
    loaded = load(root, environ)
    reached = access(git, facts(environ), environ, loaded, fresh=fresh)
    git = git.at(git.toplevel())
    if reached is not None:
        git = git.reaching(dataclasses.replace(reached, fresh=fresh))
    remote = loaded.settings.project.git_remote or "origin"
    experiments = SharedExperiments(git, remote)
    assigned = AssignedExperiment(experiments, id, found.build_url, environ.get("NODE_NAME", ""))
    return ExperimentBuild(root, git, remote, experiments, id, assigned, console)


def trust_experiment() -> None:
    """Have the steps take the experiment for the repository's own.

    Its commit is on no branch, but those who can write the ref that holds it could write branches, too.
    """
    for name in _OF_THE_BRANCH:
        os.environ.pop(name, None)
    os.environ.setdefault(TRUST, "trusted")
