"""Make one attempt at an experiment on this machine: clone, run the stages there, save what they made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mlbutler.console import human_seconds
from mlbutler.errors import MlbutlerError
from mlbutler.experiments.attempt import Attempt, AttemptContext, run_environment
from mlbutler.experiments.attempt_end import CANCELLED, AttemptEnd
from mlbutler.experiments.checkpoints import Checkpoints
from mlbutler.experiments.declared import read_declared
from mlbutler.experiments.delivery import deliver_in_background
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.gpu_lease import NO_GPUS, GpuLease
from mlbutler.experiments.log import LogFile
from mlbutler.experiments.notices import Notice, time_notice
from mlbutler.experiments.refs import Experiments, StoredExperiment
from mlbutler.experiments.saved_results import with_metrics, with_results
from mlbutler.experiments.saver import restore_checkpoint, saver_factory
from mlbutler.experiments.state import UNDER_WAY, State
from mlbutler.experiments.train_folder import TrainFolder
from mlbutler.git import Git
from mlbutler.process import project_environment
from mlbutler.project.project import Project
from mlbutler.reproduce.scratch import configure, make_clone
from mlbutler.settings import Settings
from mlbutler.symlinks import Symlinks

# Against itself: a target branch that the settings name need not be in the clone.
_RUN = ("run", "--only", "plan,sync,reproduce", "--no-publish", "--discard", "--against", "HEAD")


class LocalAttempt:
    """Prepare an experiment, run it and keep its results.

    Args:
        git: at the repository's root. settings: the project's, as it was submitted.
        environ: this process' environment, with the credentials of remotes.
    """

    def __init__(
        self, git: Git, experiments: Experiments, folder: TrainFolder, settings: Settings, environ: Mapping[str, str]
    ) -> None:
        self._git, self._experiments, self._folder = git, experiments, folder
        self._settings, self._environ = settings, environ

    def run(self, kept: StoredExperiment, lease: GpuLease = NO_GPUS) -> AttemptEnd:
        """Run an experiment from its preparation to its end; the caller holds the lock of its id.

        Args:
            lease: its GPUs.

        Raises:
            Stopped: this process was asked to stop; nothing of the experiment runs any more.
        """
        experiment = kept.experiment
        top = self._folder.scratch(experiment.id) / "clone"
        with LogFile(self._folder.log_file(experiment.id)) as log:
            try:
                root = self._prepare(experiment, top)
                own = Checkpoints(self._folder.checkpoints, experiment.id)
                experiment = self._resume(experiment, own, top, root, log)
                if self._grace(experiment) is not None:
                    return CANCELLED
                self._keep(experiment, State.RUNNING)
                end = Attempt(experiment, self._workplace(experiment, root, log, lease, own)).run()
                if end.state is not State.DONE:
                    return with_metrics(end, self._git, experiment, root)
                end = self._save_results(experiment, top, root, end)
                if end.state is State.DONE:
                    own.discard()
                return end
            except MlbutlerError as error:
                log.line(f"error: {error.message}")
                return AttemptEnd(State.NOT_SET_UP, error.message, error.remedy)

    def _prepare(self, experiment: Experiment, top: Path) -> Path:
        main = Project(self._folder.root, self._environ)
        environ = project_environment(self._environ)
        root = make_clone(self._git, top, experiment.input, experiment.project, environ)
        configure(root, main.cache_dir, main.remote_directories())
        if remote := self._settings.project.git_remote:  # the project's settings name it, and it must be there
            Git(top, environ).run("remote", "add", "--", remote, os.fspath(top))
        return root

    def _resume(self, experiment: Experiment, own: Checkpoints, top: Path, root: Path, log: LogFile) -> Experiment:
        """Bring back the newest checkpoint of an earlier attempt; return the experiment with what it goes on from."""
        links = Symlinks(root, Git(top, project_environment(self._environ)), every=True)
        said = restore_checkpoint(own, root, links, log.line)
        if said != experiment.resumed:
            self._experiments.change(experiment.id, lambda now: now.with_(resumed=said))
        return experiment.with_(resumed=said)

    def _workplace(
        self, experiment: Experiment, root: Path, log: LogFile, lease: GpuLease, own: Checkpoints
    ) -> AttemptContext:
        train = self._settings.train
        if lease.gpus:
            log.line(f"It has {lease}.")
        mirror = self._settings.data.mirror_path(self._folder.root)
        return AttemptContext(
            folder=self._folder.scratch(experiment.id), root=root, words=_RUN,
            environ=run_environment(experiment, self._environ, mirror), stop=lambda: self._grace(experiment),
            line=log.line, declared=lambda: read_declared(root), lease=lease, stall=train.stall or None,
            stalled=lambda seconds: self._mark_stalled(experiment, seconds),
            saver=saver_factory(own, root, train, experiment.attempt, log.line),
            nearly_over=lambda left: self._tell(time_notice(experiment, left), log),
        )  # fmt: skip

    def _tell(self, notice: Notice, log: LogFile) -> None:
        deliver_in_background(notice, self._settings, self._environ, log.line)

    def _save_results(self, experiment: Experiment, top: Path, root: Path, end: AttemptEnd) -> AttemptEnd:
        if self._grace(experiment) is not None:
            return CANCELLED
        self._keep(experiment, State.SAVING)
        return with_results(end, self._git, experiment, top, root)

    def _mark_stalled(self, experiment: Experiment, seconds: float | None) -> None:
        state = State.RUNNING if seconds is None else State.STALLED
        why = "" if seconds is None else f"no output, change of a metric or GPU use for {human_seconds(seconds)}"
        self._experiments.change(
            experiment.id, lambda now: now.with_(state=state, reason=why) if now.state in UNDER_WAY else None
        )

    def _grace(self, experiment: Experiment) -> float | None:
        """Return how long the stage has to end, once the experiment is to be cancelled; None before."""
        now = self._experiments.read(experiment.id)
        return now.experiment.cancel if now is not None else 0.0

    def _keep(self, experiment: Experiment, state: State) -> None:
        self._experiments.change(experiment.id, lambda now: now.with_(state=state))
