"""The interface that all forges have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable

from mlbutler.errors import ForgeError
from mlbutler.frozen import frozen, frozen_by_name
from mlbutler.record import Change
from mlbutler.report.annotations import Annotation

Behavior = Literal["update", "new", "hide-and-new"]
"""What becomes of earlier reports of a pull request: see `CommentSettings`."""


class NotOffered(ForgeError):
    """The forge does not offer this at all, whatever the token: the report stays with the build."""


class CommitStatus(StrEnum):
    """A commit status.

    `ERROR` says that nothing was judged because something outside failed, `CANCELED` that the run was stopped; a forge
    without such a status is given an error.
    """

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"
    CANCELED = "canceled"


@frozen_by_name
class Capabilities:
    """What a forge takes.

    Attributes:
        comment_limit: the longest comment in `unit`, None without a limit.
        sentence_limit: the longest sentence of a status, in characters.
        html: are ``<pre>``, ``<code>`` and HTML comments understood in Markdown?
        folds: is Markdown understood in HTML too, so that ``<details>`` folds what stands in it?
        pictures: how a comment shows one: a file uploaded to the forge, a data URI, or a file of the repository.
        raw: the address of a file of the repository as it is, with ``{commit}`` and ``{path}``; '' where none is known.
        no_status: why a commit gets no status, '' where it can have one.
        checks: has a status a richer form, for tokens that may use it?
        commit_comments: can a commit be commented on, outside a pull request?
        editing: can a comment on a commit be changed? One on a pull request always can.
    """

    comment_limit: int | None
    unit: Literal["characters", "bytes"]
    sentence_limit: int
    html: bool = True
    folds: bool = True
    pictures: Literal["attached", "data-uri", "linked"] = "linked"
    raw: str = ""
    no_status: str = ""
    checks: bool = False
    commit_comments: bool = False
    editing: bool = True

    @property
    def statuses(self) -> bool:
        """Return whether a commit can have a status."""
        return not self.no_status


@frozen
class Posted:
    """Where a comment is.

    `newer` is the newer commit whose comment was left alone, '' when ours is there. `absent`: there is none, as asked.
    """

    location: str
    newer: str = ""
    absent: bool = False


@frozen_by_name
class PullRequest:
    """An open pull request, with its page's address."""

    number: str
    head: str
    head_branch: str
    target_branch: str
    title: str = ""
    url: str = ""


@frozen_by_name
class Comment:
    """A comment on a pull request or a commit.

    Attributes:
        author: the forge's id of its author, '' when it does not say.
        login: the name by which the forge's API knows its author.
        human: is the author known to be a person and not a program?
        original: is it known to be what its author wrote here, unchanged since and not imported?
        version: counts its changes where the forge asks for that.
    """

    id: str
    body: str
    author: str = ""
    login: str = ""
    human: bool = False
    original: bool = False
    url: str = ""
    version: int = 0


@frozen
class PictureFile:
    """A file to be shown in a comment; its name follows from its content."""

    name: str
    media: str
    content: bytes


@frozen
class ForkBundle:
    """What a fork's build left for the pull request `number` at `head`: a file's content, which may be anything."""

    number: str
    head: str
    content: bytes


@runtime_checkable
class BundleAdapter(Protocol):
    """A `ForgeAdapter` whose forge keeps what the builds of forks left."""

    def fork_bundles(self, job: str, path: str) -> Iterator[ForkBundle]:
        """Yield the file of this path that the newest build `job` of each open pull request of a fork left."""
        ...


@frozen
class TokenOwner:
    """The token's account: the forge's `id` of it, '' when the forge does not say.

    `program`: is it known to be no person's?
    """

    id: str = ""
    name: str = ""
    program: bool = False


@frozen
class StatusDetails:
    """What a forge that has the place shows beside a status.

    Attributes:
        report: the report as Markdown. remarks: on lines of files. fields: (name, value) of what was measured.
    """

    report: str = ""
    remarks: tuple[Annotation, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()


@runtime_checkable
class DetailedAdapter(Protocol):
    """A `ForgeAdapter` whose forge has a place for more than a status."""

    def detail(
        self, change: Change, title: str, state: CommitStatus, sentence: str, target_url: str, details: StatusDetails
    ) -> None:
        """Show the details on the change's head, in place of earlier ones. Its status has been set."""
        ...


@runtime_checkable
class Forge(Protocol):
    """Comments and statuses of one repository."""

    name: str
    capabilities: Capabilities

    def pull_request(self, change: Change) -> PullRequest | None:
        """Return the open pull request of the change's commit and branch, None when there is none.

        Raises:
            ForgeError: it could not be asked for. UsageError: there are several.
        """
        ...

    def open_pull_request(self, change: Change, title: str, body: str) -> PullRequest:
        """Open a pull request of the change's branch into its target branch; return the one that is open already.

        Raises:
            NotOffered: the forge's API has no such thing. ForgeError: it could not be opened.
        """
        ...

    def close_pull_requests(self, change: Change) -> tuple[str, ...]:
        """Close what is open of the change's branch into its target branch; return the numbers.

        Raises:
            NotOffered: the forge's API has no such thing. ForgeError: one could not be closed.
        """
        ...

    def comment(
        self, change: Change, title: str, body: str, is_older: Callable[[str], bool], *, create: bool = True
    ) -> Posted:
        """Put `body` where the change's comment of this title is, or add it: there is never a second one.

        Without a number the comment goes to the change's head, where `capabilities.commit_comments` says so.

        Args:
            body: Markdown whose last line is the marker of `mlbutler.report.markdown`.
            is_older: is our commit older than this one, which the comment there tells of? Then it stays.
            create: add one where there is none?

        Returns:
            where it is, or that there is none.

        Raises:
            ForgeError: the comment could not be read or written.
        """
        ...

    def attach(
        self, change: Change, title: str, pictures: Sequence[PictureFile], is_older: Callable[[str], bool]
    ) -> dict[str, str] | None:
        """Upload what the change's comment of this title does not show yet, where `capabilities.pictures` says so.

        Returns:
            name -> address, '' for a picture that the forge refused; None when there is no comment yet to hold them.

        Raises:
            ForgeError: the forge could not be reached.
        """
        ...

    def status(self, change: Change, title: str, state: CommitStatus, sentence: str, target_url: str) -> str:
        """Set the status named `title` of the change's head; returns where it is.

        Raises:
            ForgeError: the status could not be set.
        """
        ...


class ForgeAdapter(Protocol):
    """One forge's API; `mlbutler.forge.hosted` makes a `Forge` of it.

    Every method raises `ForgeError` when the forge cannot be reached or refuses; a refusal is
    `mlbutler.forge.http.RequestRefused`, and a creation that may or may not have been done is `OutcomeUnknown`. Where a
    change has a number its pull request is meant, else its head.
    """

    name: str
    capabilities: Capabilities

    def me(self) -> TokenOwner:
        """Return the token's account."""
        ...

    def pull_requests(self, change: Change) -> list[PullRequest]:
        """Return open pull requests that hold the change's head, or whose branch is the change's."""
        ...

    def open_pull_request(self, change: Change, title: str, body: str) -> PullRequest:
        """Open a pull request of the change's branch into its target branch."""
        ...

    def close_pull_request(self, change: Change, pull: PullRequest) -> None:
        """Close a pull request without merging it."""
        ...

    def comments(self, change: Change) -> Iterator[Comment]:
        """Return all comments, oldest first, through all pages."""
        ...

    def create(self, change: Change, body: str) -> Comment:
        """Add a comment."""
        ...

    def update(self, change: Change, comment: Comment, body: str) -> Comment:
        """Replace a comment's text."""
        ...

    def delete(self, change: Change, comment: Comment) -> None:
        """Remove a comment."""
        ...

    def may_write(self, comment: Comment) -> bool | None:
        """Return whether the comment's author may push to the repository, as the forge says now.

        None where it says nothing of them: that is no permission either.
        """
        ...

    def attach(self, change: Change, comment: Comment, picture: PictureFile) -> str:
        """Upload a file for a comment, where `capabilities.pictures` says so; returns the address to show it by."""
        ...

    def status(self, change: Change, title: str, state: CommitStatus, sentence: str, target_url: str) -> str:
        """See `Forge.status`."""
        ...
