"""GitHub Actions. A pull request is checked out as GitHub's own merge; the event file tells the true head."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlbutler.ci.interface import Facts

_UNKNOWN = "GITHUB_EVENT_PATH names no file that says whose pull request this is, so it is taken for a fork's"
_PULL_REF = re.compile(r"refs/pull/(\d+)/(?:head|merge)")


def read(environ: Mapping[str, str]) -> Facts | None:
    """Facts of a workflow run."""
    if environ.get("GITHUB_ACTIONS") != "true":
        return None
    repository = environ.get("GITHUB_REPOSITORY", "")
    server = environ.get("GITHUB_SERVER_URL", "https://github.com")
    build_url = f"{server}/{repository}/actions/runs/{environ.get('GITHUB_RUN_ID', '')}" if repository else ""
    if environ.get("GITHUB_EVENT_NAME", "").startswith("pull_request"):
        return _pull_request(environ, repository, build_url)
    branch = environ.get("GITHUB_REF_NAME") if environ.get("GITHUB_REF_TYPE", "branch") == "branch" else None
    return Facts(ci="github-actions", kind="branch", head_branch=branch or None, fork=False, build_url=build_url)


def _pull_request(environ: Mapping[str, str], repository: str, build_url: str) -> Facts:
    event = _event(environ)
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
