"""Addresses of a forge's pages, from that of the pull request's."""

from __future__ import annotations

import re

from mlbutler.record import Change
from mlbutler.report.model import Span, Style

# A pull request's page on each forge, and what stands before a commit's id there.
_COMMITS = (
    (re.compile(r"(?P<at>.+)/-/merge_requests/\d+(?:[/?#].*)?"), "/-/commit/"),  # GitLab
    (re.compile(r"(?P<at>.+)/pull-requests/\d+(?:[/?#].*)?"), "/commits/"),  # Bitbucket
    (re.compile(r"(?P<at>.+)/pulls?/\d+(?:[/?#].*)?"), "/commit/"),
)
_COMMIT_ID = re.compile(r"[0-9a-f]{7,64}")


def short(commit: str) -> str:
    """Return a commit id as people write it; other text as it is."""
    return commit[:8] if _COMMIT_ID.fullmatch(commit) else commit


def commit(id: str, change: Change) -> Span:
    """Return a commit's id, with a link to its page where the pull request's address tells it."""
    return Span(short(id), Style.CODE, _page(id, change.url))


def _page(id: str, pull_request: str) -> str:
    if not _COMMIT_ID.fullmatch(id):
        return ""
    for pattern, middle in _COMMITS:
        if match := pattern.fullmatch(pull_request):
            return f"{match['at']}{middle}{id}"
    return ""


_PAGE = "mlbutler/"
"""Where the Jenkinsfile's `publishHTML` puts the report, from the build's address."""


def report_page(change: Change) -> str:
    """Return the address of the whole report as a page, '' where it has no page of its own."""
    return f"{change.build_url.rstrip('/')}/{_PAGE}" if change.ci == "jenkins" and change.build_url else ""


_JENKINS_BUILD = re.compile(r"https?://[^?#]+/job/[^?#]+/\d+/?")


def earlier_report_page(build_url: str) -> str:
    """Return the address of the report of an earlier build, '' where that does not tell it."""
    return f"{build_url.rstrip('/')}/{_PAGE}" if _JENKINS_BUILD.fullmatch(build_url) else ""


# What stands between a repository's page and a commit's id, or a pull request's number, on each forge.
_BELOW = {
    "gitlab": ("/-/commit/", "/-/merge_requests/"),
    "bitbucket": ("/commits/", "/pull-requests/"),
    "github": ("/commit/", "/pull/"),
}
_OTHERS = ("/commit/", "/pulls/")


def pages_below(repository: str, forge: str) -> tuple[str, str]:
    """Return what a commit's id, and a pull request's number, is appended to for the address of its page.

    Args:
        repository: the address of the repository's page. forge: which forge that is.
    """
    commits, pulls = _BELOW.get(forge, _OTHERS)
    return f"{repository}{commits}", f"{repository}{pulls}"
