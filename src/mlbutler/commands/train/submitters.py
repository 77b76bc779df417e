"""Send experiments to where they run: to this machine's workers, or to the agents of a Jenkins controller."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Sequence

import click

from mlbutler.commands.train.opening import Training
from mlbutler.console import human_bytes
from mlbutler.errors import MlbutlerError, UsageError
from mlbutler.experiments.all_experiments import latest_of_each
from mlbutler.experiments.choices import JENKINS
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.gpu_lease import require_gpus
from mlbutler.experiments.scheduling import due_experiments
from mlbutler.experiments.sending_data import DataToSend
from mlbutler.experiments.starting import start_workers
from mlbutler.experiments.state import AGAIN, State
from mlbutler.experiments.submission import (
    ExistingExperiments,
    ExperimentOptions,
    Fate,
    SubmittedExperiment,
    find_existing,
    store_experiments,
)
from mlbutler.first_few import first_few
from mlbutler.project.project import Project


class LocalSubmitter:
    """Submit experiments to this machine, where workers run them."""

    def __init__(self, training: Training) -> None:
        self._training = training

    def complete_options(self, options: ExperimentOptions) -> ExperimentOptions:
        """Return what is asked for.

        Raises:
            OutsideError: this machine has not so many GPUs.
        """
        if options.gpus:
            require_gpus(options.gpus, os.environ)
        return options

    def find_existing(self, baseline: str) -> ExistingExperiments:
        """Return what there is already."""
        return find_existing(self._training.git, self._training.experiments.all())

    def send(self, submitted: Sequence[SubmittedExperiment]) -> tuple[SubmittedExperiment, ...]:
        """Store those that are to be run; return what became of each."""
        for one in submitted:
            self._training.folder.mark_sent(one.experiment.id)
        return store_experiments(self._training.experiments.local, submitted)

    def start(self, submitted: Sequence[SubmittedExperiment]) -> None:
        """Start the workers that run them."""
        start_workers(self._training.engines.local, self._training.folder)


class JenkinsSubmitter:
    """Submit experiments to Jenkins, whose builds run them; data, code and states go there through the remotes.

    Each step can be repeated: what an earlier call did is found, and not done again.

    Args:
        main: the project in the work tree. yes: data is sent however large it is.

    Raises:
        UsageError: no controller is configured.
    """

    def __init__(self, training: Training, main: Project, *, yes: bool) -> None:
        self._training, self._main, self._yes = training, main, yes
        shared = training.experiments.shared
        if shared is None:
            raise UsageError(
                "No Jenkins job is configured that could run experiments.",
                "Set train.url and train.job in mlbutler.toml, or run them on this machine: --on local.",
            )
        self._shared = shared
        self._refs: dict[str, str] = {}

    def complete_options(self, options: ExperimentOptions) -> ExperimentOptions:
        """Return what is asked for, with what only a controller's agents need to know."""
        user = options.user or self._training.engines.jenkins.job.client.user
        name = user or self._training.git.run("config", "user.name", check=False).text
        return dataclasses.replace(options, user=name or os.environ.get("USER", ""))

    def find_existing(self, baseline: str) -> ExistingExperiments:
        """Return what there is already, on the remote and here.

        Raises:
            GitError, AccessDenied: the remote does not answer.
        """
        training = self._training
        there, _ = self._shared.survey()  # an error here, where a list would show what was known before
        self._refs = training.git.remote_refs(self._shared.remote, "refs/exps/*", "refs/heads/exp/*")
        below = f"refs/exps/{baseline[:2]}/{baseline[2:]}/"
        names = [ref.removeprefix(below) for ref in self._refs if ref.startswith(below)]
        found = find_existing(training.git, latest_of_each((*training.experiments.local.all(), *there)), names)
        return dataclasses.replace(found, needs_run=self._needs_run)

    def _needs_run(self, experiment: Experiment) -> bool:
        there = [self._refs.get(ref) for ref in experiment.result_refs]
        gone = experiment.state is State.DONE and experiment.result not in there
        if experiment.engine != JENKINS:
            gone = gone and self._training.git.resolve(experiment.ref) is None
        return experiment.state in AGAIN or gone

    def send(self, submitted: Sequence[SubmittedExperiment]) -> tuple[SubmittedExperiment, ...]:
        """Send data, then code and states; return what became of each experiment.

        Raises:
            UsageError: the job cannot take them, or nobody agreed to the size.
            AccessDenied, StoreError, GitError: a remote refuses.
        """
        self._training.engines.jenkins.check_parameters(one.experiment for one in submitted)
        self._send_data()
        return store_experiments(self._shared, self._note_request(submitted))

    def _note_request(self, submitted: Sequence[SubmittedExperiment]) -> list[SubmittedExperiment]:
        """Mark those that begin at once as having a build requested, so that builds that end meanwhile request none."""
        new = [one.experiment for one in submitted if one.fate is not Fate.REUSED]
        grids = {one.grid for one in new}
        there = [kept.experiment for kept in self._shared.survey_fetched()[0] if kept.experiment.grid in grids]
        others = [one for one in there if one.id not in {each.id for each in new}]
        first = {one.id for one in due_experiments([*others, *new])}
        return [
            dataclasses.replace(one, experiment=one.experiment.with_(asked=time.time()))
            if one.fate is not Fate.REUSED and one.experiment.id in first
            else one
            for one in submitted
        ]

    def _send_data(self) -> None:
        training, console = self._training, self._training.console
        data = DataToSend(self._main, training.settings, os.environ)
        unsent = data.find_unsent()
        size = sum(one.bytes for one in unsent)
        for one in unsent:
            console.line(f"data for {one.store.name}: {human_bytes(one.bytes)} ({first_few(one.paths, 5)})")
        if size > training.settings.train.ask_above and not self._yes:
            self._ask(size)
        with console.progress("sending data") as progress:
            for said in data.send(unsent, progress):
                console.line(said)

    def _ask(self, size: int) -> None:
        console = self._training.console
        asked = sys.stdin.isatty() and not console.json and not console.quiet
        if not asked or not click.confirm(f"Send {human_bytes(size)} of data?", err=True):
            raise UsageError(
                f"{human_bytes(size)} of data would be sent, more than train.ask_above. Nothing was sent.",
                "Agree with -y, or raise train.ask_above.",
            )

    def start(self, submitted: Sequence[SubmittedExperiment]) -> None:
        """Start the builds of those whose turn it is, unless they wait or run already."""
        start_builds(self._training, [one.experiment for one in submitted])


def restart_experiments(training: Training, experiments: Sequence[Experiment]) -> None:
    """Restart experiments that wait for another attempt, each where it ran before."""
    remote = [one for one in experiments if training.engines.runs_on_jenkins(one)]
    if len(remote) < len(experiments):
        start_workers(training.engines.local, training.folder)
    if remote:
        start_builds(training, remote)


def start_builds(training: Training, experiments: Sequence[Experiment]) -> None:
    """Start builds for the grids of these experiments, as many as there is room for.

    Raises:
        UsageError, AccessDenied, OutsideError: the controller does not take them; what was sent stays.
    """
    shared, engine = training.experiments.shared, training.engines.jenkins
    assert shared is not None
    grids = {one.grid for one in experiments if training.engines.runs_on_jenkins(one)}
    found = [kept for kept in shared.survey_fetched()[0] if kept.experiment.grid in grids]

    def say(one: Experiment) -> None:
        training.console.line(f"{one.name}: build asked for: {engine.job.url}")

    try:
        engine.start(found, say)
    except MlbutlerError as error:
        there = f"Data, code and states are on {shared.remote} already"
        again = "`mlbutler train wait` starts the builds, and so does the same command again."
        error.remedy = " ".join(filter(None, (error.remedy, f"{there}: {again}")))
        raise
