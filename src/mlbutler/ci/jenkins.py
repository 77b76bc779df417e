"""Jenkins, with a branch source (multibranch) and without.

DagsHub's branch source puts a database id into CHANGE_ID and sets neither URL, title nor author: the number is
taken from BRANCH_NAME, ``PR-<number>-HEAD`` or ``-MERGE``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mlbutler.ci.interface import Facts

_PULL_REQUEST = re.compile(r"(?:PR|MR)-(\d+)(?:-(?:head|merge))?", re.IGNORECASE)


def read(environ: Mapping[str, str]) -> Facts | None:
    """Facts of a Jenkins build."""
    if not environ.get("JENKINS_URL") and not (environ.get("BUILD_URL") and environ.get("JOB_NAME")):
        return None
    build_url = environ.get("BUILD_URL", "")
    name = environ.get("BRANCH_NAME", "")
    if environ.get("CHANGE_ID"):
        match = _PULL_REQUEST.fullmatch(name)
        return Facts(
            ci="jenkins",
            kind="pull-request",
            number=match[1] if match else environ["CHANGE_ID"],
            head_branch=environ.get("CHANGE_BRANCH") or None,
            target_branch=environ.get("CHANGE_TARGET") or None,
            fork=True if environ.get("CHANGE_FORK") else None,
            title=environ.get("CHANGE_TITLE", ""),
            author=environ.get("CHANGE_AUTHOR", ""),
            url=environ.get("CHANGE_URL", ""),
            build_url=build_url,
        )
    branch = name or _without_remote(environ)
    return Facts(ci="jenkins", kind="branch", head_branch=branch or None, fork=False, build_url=build_url)


def _without_remote(environ: Mapping[str, str]) -> str:
    """GIT_BRANCH is ``origin/feature`` or ``feature``; GIT_LOCAL_BRANCH is bare where it is set."""
    if local := environ.get("GIT_LOCAL_BRANCH"):
        return local
    branch = environ.get("GIT_BRANCH", "").removeprefix("refs/heads/").removeprefix("refs/remotes/")
    return branch.removeprefix("origin/") if branch != "detached" else ""
