"""Where am I: the CI server's environment and the clone, read into one `Change`."""

from __future__ import annotations

from collections.abc import Mapping

from mlbutler.ci import github_actions, gitlab_ci, jenkins, local
from mlbutler.ci.change import complete
from mlbutler.ci.interface import Adapter, Facts
from mlbutler.git import Git
from mlbutler.record import Change
from mlbutler.settings import Settings

ADAPTERS: dict[str, Adapter] = {
    "jenkins": jenkins,
    "github-actions": github_actions,
    "gitlab-ci": gitlab_ci,
    "local": local,
}


def detect(git: Git, environ: Mapping[str, str], settings: Settings, against: str | None = None) -> Change:
    """The change that this clone and this environment stand for; what is missing in the clone is fetched.

    Args:
        against: a revision to compare with instead of the target branch.

    Raises:
        UsageError: `against`, or a target branch somebody named, does not exist. GitError: git failed.
    """
    return complete(git, facts(environ), settings.project, against)


def facts(environ: Mapping[str, str]) -> Facts:
    """What the CI server says of the build; a laptop's work tree where there is none."""
    return next(found for adapter in ADAPTERS.values() if (found := adapter.read(environ)) is not None)
