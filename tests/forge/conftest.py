"""A fake forge for each dialect, and what a test asks of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlbutler.forge.detect import ForgeLocation
from mlbutler.forge.http import ApiRetryPolicy
from mlbutler.forge.interface import Forge
from mlbutler.forge.opening import Opening
from mlbutler.forge.registry import open_forge
from mlbutler.record import Change
from mlbutler.report.marker import marker, parse_marker
from mlbutler.variables import FORGE_TOKEN
from tests.forge.dialects import Gitea, GitHub, GitLab
from tests.forge.fake import HEAD, TOKEN, Dialect, FakeForge, Note, serving
from tests.forge.more_dialects import BitbucketCloud, BitbucketServer, DagsHub, Gogs

DIALECTS = (GitHub, GitLab, Gitea, BitbucketCloud, BitbucketServer, DagsHub, Gogs)
POLICY = ApiRetryPolicy(attempts=3, pause=0.01, longest=5.0, connect=60.0, read=60.0)


@dataclasses.dataclass
class Meeting:
    """A forge, the server behind it, and the answers to `is_older`."""

    server: FakeForge
    root: Path
    order: tuple[str, ...] = ()

    @property
    def dialect(self) -> Dialect:
        """The API that is played."""
        return self.server.dialect

    def place(self) -> ForgeLocation:
        """Where it is, as the settings would say."""
        return ForgeLocation(
            self.dialect.kind, self.server.url, self.dialect.repository, self.dialect.api and self.dialect.base
        )

    def open(self, policy: ApiRetryPolicy = POLICY) -> Forge:
        """A new process' view of it."""
        environ = {FORGE_TOKEN: TOKEN}
        return open_forge(Opening(place=self.place(), environ=environ, root=self.root, policy=policy))

    def post(self, head: str = HEAD, text: str = "text", title: str = "mlbutler", number: str | None = "17",
             policy: ApiRetryPolicy = POLICY) -> str:  # fmt: skip
        """Publish a comment; returns the newer commit it gave way to."""
        return (
            self.open(policy).comment(change(head, number), title, body(head, text, title), self.is_older(head)).newer
        )

    def is_older(self, head: str):  # type: ignore[no-untyped-def]
        """By `order`, oldest first."""
        return lambda other: head in self.order and other in self.order[self.order.index(head) + 1 :]

    def ours(self, title: str = "mlbutler", on: str = "17") -> list[Note]:
        """Comments with our marker."""
        return [note for note in self.dialect.on(on) if parse_marker(note.body, title) is not None]


def change(head: str = HEAD, number: str | None = "17", branch: str = "work") -> Change:
    return Change(
        ci="jenkins", kind="pull-request" if number else "branch", head=head, checkout=head, number=number,
        head_branch=branch, target_branch="main",
    )  # fmt: skip


def body(head: str = HEAD, text: str = "text", title: str = "mlbutler") -> str:
    return f"{text}\n\n{marker(title, head)}\n"


def _meet(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Meeting]:
    with serving(request.param()) as server:
        yield Meeting(server, tmp_path)


def _over(*dialects: type[Dialect]) -> Any:
    """A fixture of these forges in turn; what a vendor's description forbids fails the test."""
    return pytest.fixture(params=dialects, ids=lambda dialect: dialect.__name__)(_meet)


meeting = _over(*DIALECTS)
finding = _over(*(dialect for dialect in DIALECTS if dialect is not Gogs))
"""Those that list pull requests."""
judging = _over(*(dialect for dialect in DIALECTS if dialect not in (Gogs, DagsHub)))
"""Those with statuses."""
committing = _over(GitHub, GitLab, BitbucketCloud)
"""Those with comments on commits."""
offering = _over(GitHub, GitLab, Gitea, BitbucketCloud, BitbucketServer)
"""Those that open pull requests."""
gallery = _over(GitLab, Gitea)
"""Those that take files."""
github = _over(GitHub)
gitlab = _over(GitLab)
guarded = _over(*(dialect for dialect in DIALECTS if dialect is not GitLab))
"""Those that tell administrators alone who may write."""
named = _over(*(dialect for dialect in DIALECTS if dialect is not BitbucketCloud))
"""Those that are asked by a name, or answer with one person."""
