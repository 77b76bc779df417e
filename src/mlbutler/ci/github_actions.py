"""GitHub Actions. A pull request is checked out as GitHub's own merge; the event file tells the true head."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlbutler.ci.interface import Facts


def read(environ: Mapping[str, str]) -> Facts | None:
    """Facts of a workflow run."""
    if environ.get("GITHUB_ACTIONS") != "true":
        return None
    repository = environ.get("GITHUB_REPOSITORY", "")
    server = environ.get("GITHUB_SERVER_URL", "https://github.com")
    build_url = f"{server}/{repository}/actions/runs/{environ.get('GITHUB_RUN_ID', '')}" if repository else ""
    event = _event(environ)
    pull = event.get("pull_request")
    if environ.get("GITHUB_EVENT_NAME", "").startswith("pull_request") and isinstance(pull, dict):
        head, base = pull.get("head") or {}, pull.get("base") or {}
        source = (head.get("repo") or {}).get("full_name")
        return Facts(
            ci="github-actions",
            kind="pull-request",
            number=str(pull.get("number") or event.get("number") or "") or None,
            head=head.get("sha"),
            head_branch=head.get("ref") or environ.get("GITHUB_HEAD_REF") or None,
            target_branch=base.get("ref") or environ.get("GITHUB_BASE_REF") or None,
            fork=source != repository,
            title=str(pull.get("title") or ""),
            author=str((pull.get("user") or {}).get("login") or ""),
            url=str(pull.get("html_url") or ""),
            build_url=build_url,
        )
    branch = environ.get("GITHUB_REF_NAME") if environ.get("GITHUB_REF_TYPE", "branch") == "branch" else None
    return Facts(ci="github-actions", kind="branch", head_branch=branch or None, fork=False, build_url=build_url)


def _event(environ: Mapping[str, str]) -> dict[str, Any]:
    try:
        content = json.loads(Path(environ.get("GITHUB_EVENT_PATH", "")).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
