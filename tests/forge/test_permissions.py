"""The permissions that the documents ask for in GitHub Actions are those of the requests that are sent there."""

from __future__ import annotations

import re
from pathlib import Path

from mlbutler.forge.hosted import Hosted
from mlbutler.forge.interface import CommitStatus
from tests.forge.conftest import Meeting, body, change
from tests.forge.dialects import GitHub
from tests.forge.fake import HEAD, OTHER_HEAD, FakeForge, Seen

ROOT = Path(__file__).parents[2]
# GitHub's "Permissions required for fine-grained personal access tokens". A comment on a pull request goes with the
# permission for issues as well.
NEEDED = (
    ("GET", r"/user", "metadata", "read"),
    ("GET", r"/repos/[^/]+/[^/]+/issues/\d+/comments", "pull-requests", "read"),
    ("POST", r"/repos/[^/]+/[^/]+/issues/\d+/comments", "pull-requests", "write"),
    ("PATCH|DELETE", r"/repos/[^/]+/[^/]+/issues/comments/\d+", "pull-requests", "write"),
    ("GET", r"/repos/[^/]+/[^/]+/commits/\w+/comments", "contents", "read"),
    ("POST", r"/repos/[^/]+/[^/]+/commits/\w+/comments", "contents", "read"),
    ("PATCH|DELETE", r"/repos/[^/]+/[^/]+/comments/\d+", "contents", "write"),
    ("GET", r"/repos/[^/]+/[^/]+/(commits/\w+/)?pulls", "pull-requests", "read"),
    ("POST", r"/repos/[^/]+/[^/]+/statuses/\w+", "statuses", "write"),
    ("GET", r"/repos/[^/]+/[^/]+/commits/\w+/check-runs", "checks", "read"),
    ("POST", r"/repos/[^/]+/[^/]+/check-runs", "checks", "write"),
    ("PATCH", r"/repos/[^/]+/[^/]+/check-runs/\d+", "checks", "write"),
)
GIT = {"contents": "write"}
"""Of `actions/checkout`, and of the push of the results commit."""


class App(GitHub):
    """GitHub with the token of GitHub Actions."""

    app = True


def requests(dialect: GitHub, root: Path) -> list[Seen]:
    """Everything that the adapter asks of GitHub."""
    server = FakeForge(dialect)
    meeting = Meeting(server, root)
    forge = meeting.open()
    assert isinstance(forge, Hosted)
    for number in ("17", None):
        for head in (HEAD, OTHER_HEAD):
            forge.comment(change(HEAD, number), "mlbutler", body(head), lambda other: False)
        there = next(forge.adapter.comments(change(HEAD, number)))
        forge.adapter.delete(change(HEAD, number), there)
        forge.pull_request(change(HEAD, number))
        forge.pull_request(change(OTHER_HEAD, number, "other"))
    for state in (CommitStatus.PENDING, CommitStatus.SUCCESS):
        forge.status(change(), "mlbutler", state, "Better", "")
    server.shutdown()
    server.server_close()
    assert server.violations == []
    return server.seen


def test_the_documented_permissions_are_those_of_the_requests(tmp_path: Path) -> None:
    needed = dict(GIT)
    for seen in (*requests(App(), tmp_path), *requests(GitHub(), tmp_path)):
        path = seen.path.removeprefix(GitHub.prefix)
        rules = [rule for rule in NEEDED if re.fullmatch(rule[0], seen.method) and re.fullmatch(rule[1], path)]
        assert len(rules) == 1, f"what permission do {seen.method} and {path} need?"
        ((_, _, permission, level),) = rules
        if permission != "metadata" and needed.get(permission) != "write":
            needed[permission] = level
    documented = re.search(r"`permissions: \{([^}]*)\}`", (ROOT / "docs/forges.md").read_text("utf-8"))
    assert documented is not None
    assert dict(pair.split(": ") for pair in documented[1].split(", ")) == needed
    written = (ROOT / "src/mlbutler/scaffold/templates/github-actions.yml.j2").read_text("utf-8")
    assert dict(re.findall(r"^      (contents|[a-z-]+): (write|read)\b", written, re.MULTILINE)) == needed
