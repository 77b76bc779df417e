"""Where am I: the CI server's environment and the clone, read into one `Change`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mlbutler.ci import github_actions, gitlab_ci, jenkins, local, unknown
from mlbutler.ci.change import complete
from mlbutler.ci.interface import Adapter, Facts
from mlbutler.ci.servers import SERVERS
from mlbutler.errors import UsageError
from mlbutler.git import Git
from mlbutler.record import Change
from mlbutler.settings import Settings
from mlbutler.variables import TRUST

ADAPTERS: dict[str, Adapter] = {
    "jenkins": jenkins,
    "github-actions": github_actions,
    "gitlab-ci": gitlab_ci,
    **{server.name: server for server in SERVERS},
    "unknown": unknown,
    "local": local,
}
_TRUSTED, _UNTRUSTED = "trusted", ("untrusted", "fork")


def detect(git: Git, environ: Mapping[str, str], settings: Settings, against: str | None = None) -> Change:
    """The change that this clone and this environment stand for; what is missing in the clone is fetched.

    Args:
        against: a revision to compare with instead of the target branch.

    Raises:
        UsageError: `against`, or a target branch somebody named, does not exist. GitError: git failed.
    """
    return complete(git, facts(environ), settings.project, against)


def facts(environ: Mapping[str, str]) -> Facts:
    """What the CI server says of the build; a laptop's work tree where there is none.

    Raises:
        UsageError: `TRUST` has a value that it does not know.
    """
    found = next(found for adapter in ADAPTERS.values() if (found := adapter.read(environ)) is not None)
    told = environ.get(TRUST, "").strip().lower()
    if not told:
        return found
    if told in _UNTRUSTED:
        return replace(found, fork=True, note=f"{TRUST} says that the change is not trusted: it is taken for a fork's")
    if told != _TRUSTED:
        raise UsageError(f"{TRUST} is '{told}'.", f"One of: {_TRUSTED}, {', '.join(_UNTRUSTED)}.")
    if found.fork and not found.assumed:
        note = f"{TRUST} does not count here: the CI server says that this is a fork's change"
        return replace(found, note=note)
    return replace(found, fork=False, assumed=False, ours_at=None, note="")
