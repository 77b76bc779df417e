"""GitHub Actions. A pull request is checked out as GitHub's own merge; the event file tells the true head."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlbutler.ci.interface import Facts

_UNKNOWN = "GITHUB_EVENT_PATH does not name a file that says whose pull request this is, so it is taken for a fork's"
_PULL_REF = re.compile(r"refs/pull/(\d+)/(?:head|merge)")


def read_facts(environ: Mapping[str, str]) -> Facts | None:
    """Return the facts of a workflow run."""
    if environ.get("GITHUB_ACTIONS") != "true":
        return None
    repository = environ.get("GITHUB_REPOSITORY", "")
    server = environ.get("GITHUB_SERVER_URL", "https://github.com")
    build_url = f"{server}/{repository}/actions/runs/{environ.get('GITHUB_RUN_ID', '')}" if repository else ""
    name, event = environ.get("GITHUB_EVENT_NAME", ""), _event(environ)
    if name.startswith("pull_request"):
        return replace(_pull_request(environ, event, repository, build_url), ci=_name(environ))
    run = _table(event, "workflow_run")
    if name == "workflow_run" and (not run or not _is_ours(run, repository)):
        return replace(_following_run_facts(run, build_url), ci=_name(environ))
    issue = _table(event, "issue")
    if name == "issue_comment" and ("pull_request" in issue or not issue):
        # GitHub checks out the default branch and says nothing of the head: Git is asked whose commit is here.
        return Facts(
            ci=_name(environ), kind="pull-request", number=_text(issue, "number") or None, title=_text(issue, "title"),
            author=_text(_table(issue, "user"), "login"), url=_text(issue, "html_url"), build_url=build_url,
        )  # fmt: skip
    branch = environ.get("GITHUB_REF_NAME") if environ.get("GITHUB_REF_TYPE", "branch") == "branch" else None
    # Of a pull request it is the merge with a fork's head: without the event's name nothing tells which it is.
    ours = environ.get("GITHUB_SHA") or None if name else None
    return Facts(
        ci=_name(environ), kind="branch", head_branch=branch or None, fork=None if ours is None else False,
        ours_at=ours, build_url=build_url,
    )  # fmt: skip


def without_event(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what started the job, so that Git is asked whose commit is checked out.

    A run that follows a fork's counts as a fork's, since it may have checked out that. One that runs none of the
    project's code need not.
    """
    return {name: value for name, value in environ.items() if name not in ("GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH")}


def _name(environ: Mapping[str, str]) -> str:
    """Return the server's name: Gitea's and Forgejo's servers speak GitHub's language."""
    for name in ("FORGEJO_ACTIONS", "GITEA_ACTIONS"):
        if environ.get(name) == "true":
            return name.lower().replace("_", "-")
    return "github-actions"


def _is_ours(run: Mapping[str, Any], repository: str) -> bool:
    """Return whether the run that this one follows was one of a branch of ours."""
    source = _text(_table(run, "head_repository"), "full_name").lower()
    return not _text(run, "event").startswith("pull_request") and source == repository.lower()


def _following_run_facts(run: Mapping[str, Any], build_url: str) -> Facts:
    """Return the facts of a run that follows another one, of a pull request or of a fork.

    Its secrets are available although the other run had none.

    GitHub names no pull request of a fork here, and checks out the default branch.
    """
    pulls = run.get("pull_requests")
    pull = pulls[0] if isinstance(pulls, list) and pulls and isinstance(pulls[0], dict) else {}
    source, target = (_text(_table(run, name), "full_name").lower() for name in ("head_repository", "repository"))
    return Facts(
        ci="github-actions",
        kind="pull-request",
        number=_text(pull, "number") or None,
        head_branch=_text(run, "head_branch") or None,
        target_branch=_text(_table(pull, "base"), "ref") or None,
        fork=None if source and source == target else True,
        build_url=build_url,
    )


def _pull_request(environ: Mapping[str, str], event: Mapping[str, Any], repository: str, build_url: str) -> Facts:
    pull = _table(event, "pull_request")
    head, base = _table(pull, "head"), _table(pull, "base")
    match = _PULL_REF.fullmatch(environ.get("GITHUB_REF", ""))
    number = _text(pull, "number") or _text(event, "number") or (match[1] if match else "")
    # A head whose repository was deleted has none here: a fork. Without any head Git could be asked, but it would take
    # a fork's change for ours where the target is checked out and the branches have one name.
    source = _text(_table(head, "repo"), "full_name").lower()
    fork = not source or source != repository.lower()
    return Facts(
        ci="github-actions",
        kind="pull-request",
        number=number or None,
        head=_text(head, "sha") or None,
        head_branch=_text(head, "ref") or environ.get("GITHUB_HEAD_REF") or None,
        target_branch=_text(base, "ref") or environ.get("GITHUB_BASE_REF") or None,
        fork=fork,
        title=_text(pull, "title"),
        author=_text(_table(pull, "user"), "login"),
        url=_text(pull, "html_url"),
        build_url=build_url,
        note="" if head else _UNKNOWN,
    )


def _event(environ: Mapping[str, str]) -> dict[str, Any]:
    try:
        content = json.loads(Path(environ.get("GITHUB_EVENT_PATH", "")).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _table(parent: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _text(parent: Mapping[str, Any], key: str) -> str:
    value = parent.get(key)
    return str(value) if isinstance(value, str | int) else ""
