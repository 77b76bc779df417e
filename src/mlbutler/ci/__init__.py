"""Read what the CI server says of the build, from the environment alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from mlbutler.ci import github_actions, gitlab_ci, jenkins, local, unknown
from mlbutler.ci.interface import CIAdapter, Facts
from mlbutler.ci.servers import SERVERS
from mlbutler.errors import UsageError
from mlbutler.variables import APPROVED, TRUST

ADAPTERS: dict[str, CIAdapter] = {
    "jenkins": jenkins,
    "github-actions": github_actions,
    "gitlab-ci": gitlab_ci,
    **{server.name: server for server in SERVERS},
    "unknown": unknown,
    "local": local,
}
_TRUSTED, _UNTRUSTED = "trusted", ("untrusted", "fork")
_APPROVAL = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64}) ([A-Za-z0-9._@-]{1,100})")


def facts(environ: Mapping[str, str]) -> Facts:
    """Return what the CI server says of the build; a laptop's work tree where there is none.

    Raises:
        UsageError: `TRUST` or `APPROVED` has a value that it does not know.
    """
    return _with_approval(_with_trust(read_server(environ), environ), environ)


def read_server(environ: Mapping[str, str]) -> Facts:
    """Return what the CI server itself says, whatever `TRUST` and `APPROVED` add to it."""
    environ = dict(environ)  # of `os.environ`, each look would decode
    return next(found for adapter in ADAPTERS.values() if (found := adapter.read_facts(environ)) is not None)


def _with_approval(found: Facts, environ: Mapping[str, str]) -> Facts:
    """Return the facts with the commit that was approved; which commit is here, Git says."""
    told = environ.get(APPROVED, "").strip()
    if not told:
        return found
    if (match := _APPROVAL.fullmatch(told)) is None:
        raise UsageError(
            f"{APPROVED} does not name a commit and its approver.", "Set it to what `mlbutler approve --check` says."
        )
    return replace(found, approved=match[1], approved_by=match[2])


def _with_trust(found: Facts, environ: Mapping[str, str]) -> Facts:
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
