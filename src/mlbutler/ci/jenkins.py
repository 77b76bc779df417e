"""Jenkins, with a branch source (multibranch) and without.

Branch sources set CHANGE_FORK for forks alone. DagsHub's puts a database id into CHANGE_ID and sets neither URL,
title nor author: the number is taken from BRANCH_NAME, ``PR-<number>-HEAD`` or ``-MERGE``, and because it tells so
little, its silence about a fork is no proof that there is none: Git is asked, and what stays unclear is a fork.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mlbutler.ci.interface import Facts

_PULL_REQUEST = re.compile(r"(?:PR|MR)-(\d+)(?:-(?:head|merge))?", re.IGNORECASE)
_SERVER = ("JENKINS_URL", "JENKINS_HOME")
# JENKINS_URL alone is no build: people set it for Jenkins' own command line.
_BUILD = ("BUILD_URL", "BUILD_NUMBER", "BUILD_ID", "JOB_NAME", "BRANCH_NAME", "CHANGE_ID")


def read(environ: Mapping[str, str]) -> Facts | None:
    """Facts of a Jenkins build."""
    named = any(environ.get(name) for name in _SERVER) or environ.get("BUILD_TAG", "").startswith("jenkins-")
    if not named or not any(environ.get(name) for name in _BUILD):
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
            ours_unless_asked=bool(environ.get("CHANGE_URL") and environ.get("CHANGE_BRANCH")),
            head_parent=0,  # "Merging main commit ... into PR head commit ..."
            title=environ.get("CHANGE_TITLE", ""),
            author=environ.get("CHANGE_AUTHOR", ""),
            url=environ.get("CHANGE_URL", ""),
            build_url=build_url,
        )
    branch = name or environ.get("GIT_LOCAL_BRANCH", "")
    tracking = environ.get("GIT_BRANCH", "").removeprefix("refs/heads/").removeprefix("refs/remotes/")
    tag = bool(environ.get("TAG_NAME"))
    return Facts(
        ci="jenkins",
        kind="branch",
        head_branch=None if tag else branch or None,
        tracking_branch=None if tag or tracking == "detached" else tracking or None,
        fork=False,
        head_parent=0,
        build_url=build_url,
    )
