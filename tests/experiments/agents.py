"""A CI server's agent that experiments are sent to: its pipeline's commands, in a work tree as Jenkins makes it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlbutler.experiments.capture import capture_work_tree
from mlbutler.experiments.choices import JENKINS
from mlbutler.experiments.experiment import Experiment
from mlbutler.experiments.refs import StoredExperiment
from mlbutler.experiments.shared import SharedExperiments
from mlbutler.experiments.submission import ExperimentOptions, find_existing, resolve_experiments
from mlbutler.experiments.train_folder import TrainFolder
from mlbutler.git import Git
from tests import forked_python
from tests.experiments.conftest import Laptop
from tests.integration.world import Run


def send(laptop: Laptop, *params: str, name: str, **fields: object) -> list[Experiment]:
    """Send the work tree as `mlbutler train --on jenkins` does, and start no build."""
    laptop.world.push("main")
    git = Git(laptop.root)
    options = ExperimentOptions(name=name, params=params)
    submitted = resolve_experiments(
        git, find_existing(git, ()), TrainFolder(laptop.root), capture_work_tree(git, []), "", options
    )
    wanted = [one.experiment.with_(engine=JENKINS, **fields) for one in submitted]
    assert all(open_shared(laptop).keep_all([(one, None) for one in wanted]))
    return wanted


def open_shared(laptop: Laptop) -> SharedExperiments:
    """The experiments on the laptop's remote."""
    return SharedExperiments(Git(laptop.root), "origin")


def now(laptop: Laptop, experiment: Experiment) -> Experiment:
    """Return the experiment as the remote has it."""
    return read_stored(laptop, experiment).experiment


def read_stored(laptop: Laptop, experiment: Experiment) -> StoredExperiment:
    found = open_shared(laptop).read(experiment.id)
    assert found is not None
    return found


@dataclass
class Agent:
    """One agent in one build, with an empty workspace, or (if it is not new) with the one that it had."""

    laptop: Laptop
    experiment: Experiment
    build: int = 1
    name: str = "one"
    attempt: str = ""
    is_new: bool = True

    def __post_init__(self) -> None:
        """Check the experiment out as the pipeline does."""
        self.root = self.laptop.world.directory / f"agent-{self.build}-{self.name}"
        if not self.is_new:
            return
        self.root.mkdir(exist_ok=True)  # a disk of its own may be mounted there
        git = self.laptop.world.git
        ref = f"refs/mlbutler/train/{self.experiment.id}"
        git(self.root, "init", "-q")
        git(self.root, "remote", "add", "origin", str(self.laptop.world.bare))
        git(self.root, "fetch", "-q", "origin", f"+{ref}:refs/remotes/origin/mlbutler/train")
        git(self.root, "checkout", "-q", "--detach", "refs/remotes/origin/mlbutler/train^")

    @property
    def environ(self) -> dict[str, str]:
        """As Jenkins has it in a job of a single pipeline; the variables of the branch are those of the script."""
        own = {
            "JENKINS_URL": "http://jenkins.example/", "JOB_NAME": "train", "BUILD_NUMBER": str(self.build),
            "BUILD_URL": f"http://jenkins.example/job/train/{self.build}/", "NODE_NAME": self.name,
            "GIT_URL": str(self.laptop.world.bare), "GIT_BRANCH": "origin/main", "GIT_COMMIT": "0" * 40,
            "MLBUTLER_TRAIN_EXPERIMENT": self.experiment.id, "MLBUTLER_REPRODUCE_PASS_ENVIRONMENT": "PLACES",
        }  # fmt: skip
        return own | ({"MLBUTLER_TRAIN_ATTEMPT": self.attempt} if self.attempt else {})

    def call(self, *words: str, code: int = 0, environ: Mapping[str, str] | None = None) -> Run:
        """Run `mlbutler train agent WORDS`; the exit code is `code`."""
        run = self.laptop.world.run(self.root, self.environ | dict(environ or {}), "agent", *words, verb="train")
        assert run.code == code, run.out + run.err
        return run

    def begin(self, code: int = 0) -> Run:
        """Begin an attempt, and take its number from where the pipeline has it from."""
        run = self.call("begin", code=code)
        number = self.root / ".mlbutler" / "train" / "attempt"
        self.attempt = number.read_text().strip() if number.exists() else ""
        return run

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command that a test watches."""
        return forked_python.Popen(
            [sys.executable, "-m", "mlbutler", "train", "agent", *words], cwd=self.root, text=True,
            env=self.laptop.world.run_environ(self.environ), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    @property
    def stop(self) -> Path:
        """The file by which the pipeline asks the experiment to end."""
        return self.root / ".mlbutler" / "train" / "stop"
