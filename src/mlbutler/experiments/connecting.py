"""Connect to the Jenkins controller that the settings name, with a login that no commit can send elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

from mlbutler.console import Console
from mlbutler.errors import UsageError
from mlbutler.experiments.on_jenkins import JenkinsEngine
from mlbutler.experiments.shared import SharedExperiments
from mlbutler.git import Git
from mlbutler.jenkins.builds import Job
from mlbutler.jenkins.client import JenkinsClient
from mlbutler.jenkins.login import login
from mlbutler.settings import LoadedSettings, settings_at
from mlbutler.variables import JENKINS_TOKEN

_URL = "MLBUTLER_TRAIN_URL"


def connect_jenkins(
    git: Git, prefix: str, loaded: LoadedSettings, shared: SharedExperiments, console: Console,
    environ: Mapping[str, str],
) -> JenkinsEngine:  # fmt: skip
    """Return the engine for the controller that the settings name.

    Raises:
        UsageError: the address is none, or the environment's token would go to one that only a commit names.
    """
    train = loaded.settings.train
    assert train.url is not None
    assert train.job is not None
    given = login(train.url, environ)
    if environ.get(JENKINS_TOKEN) and not _is_agreed(git, prefix, loaded, shared.remote):
        raise UsageError(
            f"The token in {JENKINS_TOKEN} is not sent to {train.url}: the work tree names that address, and the "
            "target branch does not.",
            f"If it is right, set {_URL}={train.url}, or get the setting onto the target branch.",
        )
    if given.token:
        console.redactor = console.redactor.adding([given.token])
    client = JenkinsClient(train.url, given.user, given.token)
    return JenkinsEngine(shared, Job(client, train.job), train.most_queued)


def _is_agreed(git: Git, prefix: str, loaded: LoadedSettings, remote: str) -> bool:
    """Return whether somebody other than the checked out commit says where the controller is."""
    if loaded.sources.get("train.url", "").startswith("MLBUTLER_"):
        return True
    url = loaded.settings.train.url
    target = loaded.settings.project.target
    names = [target] if target else ["HEAD", "main", "master"]
    tips = [tip for name in names if (tip := git.resolve(f"refs/remotes/{remote}/{name}")) is not None]
    there = settings_at(lambda name: git.show(tips[0], f"{prefix}{name}")) if tips else None
    return there is not None and there.train.url == url
