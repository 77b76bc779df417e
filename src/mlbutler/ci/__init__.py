"""Read what the CI server says of the build, from the environment alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mlbutler.ci import github_actions, gitlab_ci, jenkins, local, unknown
from mlbutler.ci.interface import CIAdapter, Facts
from mlbutler.ci.servers import SERVERS
from mlbutler.errors import UsageError
from mlbutler.variables import TRUST

ADAPTERS: dict[str, CIAdapter] = {
    "jenkins": jenkins,
    "github-actions": github_actions,
    "gitlab-ci": gitlab_ci,
    **{server.name: server for server in SERVERS},
    "unknown": unknown,
    "local": local,
}
_TRUSTED, _UNTRUSTED = "trusted", ("untrusted", "fork")


def facts(environ: Mapping[str, str]) -> Facts:
    """Return what the CI server says of the build; a laptop's work tree where there is none.

    Raises:
        UsageError: `TRUST` has a value that it does not know.
    """
    found = next(found for adapter in ADAPTERS.values() if (found := adapter.read_facts(environ)) is not None)
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
