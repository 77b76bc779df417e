"""Gogs, and DagsHub, whose API descends from it: comments on an issue are comments on a pull request.

Neither has commit statuses. DagsHub describes no comments; where its server takes none, whatever it answers then, that
is said and the report stays with the build. DagsHub lists pull requests, in a shape of its own; Gogs does not, but has
their heads as refs in Git.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from mlbutler.errors import ForgeError
from mlbutler.forge.answers import same_second, text, value_at
from mlbutler.forge.http import Api, RequestRefused, UnexpectedResponse
from mlbutler.forge.interface import (
    Capabilities,
    Comment,
    CommitStatus,
    NotOffered,
    PictureFile,
    PullRequest,
    TokenOwner,
)
from mlbutler.forge.opening import Opening
from mlbutler.record import Change

_GOGS, _DAGSHUB = "Gogs", "DagsHub"
_ABSENT = (404, 405, 410, 501)
_PULLS = "refs/pull/*/head"
_PULL = re.compile(r"refs/pull/([0-9]+)/head")
TOKEN = "GOGS_TOKEN"
"""The variable of a token for Gogs."""


class Gogs:
    """One repository on Gogs or DagsHub.

    Args:
        web: the repository's page.
        refs: asks the git remote for refs by patterns; None without one.
    """

    # The text is kept in a column of MySQL's type TEXT. What Gogs does with HTML ends <details> at its first paragraph.
    capabilities = Capabilities(
        comment_limit=65_535, unit="bytes", sentence_limit=140, folds=False, no_status="this forge has no statuses"
    )

    def __init__(
        self, name: str, api: Api, repository: str, web: str, refs: Callable[..., Mapping[str, str]] | None
    ) -> None:
        self.name = name
        if name == _GOGS:  # its sanitizer lets pictures through that are in the text itself
            self.capabilities = replace(self.capabilities, pictures="data-uri")
        self._api = api
        self._at = f"/repos/{quote(repository)}"
        self._web = web
        self.capabilities = replace(self.capabilities, raw=f"{web}/raw/{{commit}}/{{path}}")
        self._refs = refs

    def me(self) -> TokenOwner:
        """See `ForgeAdapter.me`."""
        user = self._api.get("/user")
        return TokenOwner(text(user, "id"), text(user, "login", "username", "user_name"))

    def pull_requests(self, change: Change) -> list[PullRequest]:
        """See `ForgeAdapter.pull_requests`; those that Git tells of on a server that does not list them."""
        try:
            listed = self._api.get(f"{self._at}/pulls")
        except RequestRefused as error:
            if error.status not in _ABSENT:
                raise
            return self._find_by_refs(change)
        pulls = [_pull(item) for item in (listed if isinstance(listed, list) else ()) if _is_open(item)]
        return [pull for pull in pulls if pull.head == change.head or pull.head_branch == change.head_branch]

    def _find_by_refs(self, change: Change) -> list[PullRequest]:
        """Return open ones whose head is the change's commit, or what its branch has now."""
        branch = f"refs/heads/{change.head_branch}"
        refs = self._refs(_PULLS, branch) if self._refs is not None else {}
        heads = {change.head, refs.get(branch, change.head)}
        found = [(match[1], refs[name]) for name in refs if (match := _PULL.fullmatch(name)) and refs[name] in heads]
        pulls = [self._open(number, head, change) for number, head in found]
        return [pull for pull in pulls if pull is not None]

    def _open(self, number: str, head: str, change: Change) -> PullRequest | None:
        """Return the pull request unless it is closed, which its ref outlives."""
        try:
            issue = self._api.get(f"{self._at}/issues/{number}")
        except RequestRefused as error:
            if error.status not in _ABSENT:  # where issues are off, that is said of the comment
                raise
            issue = None
        if not _is_open(issue):
            return None
        return PullRequest(
            number=number, head=head, head_branch=change.head_branch or "", target_branch=change.target_branch or "",
            title=text(issue, "title"), url=f"{self._web}/pulls/{number}",
        )  # fmt: skip

    def open_pull_request(self, change: Change, title: str, body: str) -> PullRequest:
        """Raise `NotOffered`: Gogs' API opens no pull request, and DagsHub describes none that does.

        Raises:
            NotOffered: always.
        """
        raise NotOffered(f"{self.name} opens no pull request by its API.")

    def close_pull_request(self, change: Change, pull: PullRequest) -> None:
        """Raise `NotOffered`, as `open_pull_request`.

        Raises:
            NotOffered: always.
        """
        raise NotOffered(f"{self.name} closes no pull request by its API.")

    def comments(self, change: Change) -> Iterator[Comment]:
        """See `ForgeAdapter.comments`; they are not paged.

        Raises:
            NotOffered: the server has no comments, though it has the repository.
        """
        try:
            items = list(self._api.whole(f"{self._issue(change)}/comments"))
        except (RequestRefused, UnexpectedResponse) as error:
            # DagsHub does not describe comments: it may forbid to look at them too.
            raise self._absent(error, *((403,) if self.name == _DAGSHUB else ())) from error
        yield from (self._comment(change, item) for item in items)

    def create(self, change: Change, body: str) -> Comment:
        """See `ForgeAdapter.create`.

        Raises:
            NotOffered: as `comments`.
        """
        try:
            answer = self._api.send("POST", f"{self._issue(change)}/comments", json={"body": body})
            return self._comment(change, self._api.json(answer))
        except (RequestRefused, UnexpectedResponse) as error:
            raise self._absent(error) from error

    def update(self, change: Change, comment: Comment, body: str) -> Comment:
        """See `ForgeAdapter.update`."""
        path = f"{self._issue(change)}/comments/{comment.id}"
        answer = self._api.send("PATCH", path, json={"body": body}, fresh=True)
        return self._comment(change, self._api.json(answer)) if answer.content else comment

    def delete(self, change: Change, comment: Comment) -> None:
        """See `ForgeAdapter.delete`."""
        self._api.send("DELETE", f"{self._issue(change)}/comments/{comment.id}")

    def may_write(self, comment: Comment) -> bool | None:
        """See `ForgeAdapter.may_write`: the owner, or a collaborator who may push. Teams are not listed."""
        if comment.author and text(self._api.get(self._at), "owner.id") == comment.author:
            return True
        listed = self._api.get(f"{self._at}/collaborators")
        people = listed if isinstance(listed, list) else ()
        theirs = [value_at(item, "permissions.push") for item in people if text(item, "id") == comment.author]
        return theirs[0] is True if theirs and comment.author else None

    def attach(self, change: Change, comment: Comment, picture: PictureFile) -> str:
        """Raise `NotOffered`: files cannot be uploaded here, as the capabilities say.

        Raises:
            NotOffered: always.
        """
        raise NotOffered(f"{self.name} takes no files in comments.")

    def status(self, change: Change, title: str, state: CommitStatus, sentence: str, target_url: str) -> str:
        """Raise `NotOffered`: there are no statuses, as the capabilities say.

        Raises:
            NotOffered: always.
        """
        raise NotOffered(f"{self.name} has no commit statuses.")

    def _issue(self, change: Change) -> str:
        return f"{self._at}/issues/{quote(change.number or '', safe='')}"

    def _comment(self, change: Change, item: Any) -> Comment:
        url = text(item, "html_url") or f"{self._web}/pulls/{change.number}"
        return Comment(
            id=text(item, "id"), body=text(item, "body"), author=text(item, "user.id"), url=url,
            login=text(item, "user.login", "user.username", "user.user_name"),
            original=same_second(item, "created_at", "updated_at"),
        )  # fmt: skip

    def _absent(self, error: RequestRefused | UnexpectedResponse, *further: int) -> ForgeError:
        """Return whether the comments are missing, and not the whole repository.

        `further`: statuses that mean this too.
        """
        said = f"{error.status} {error.said}".rstrip() if isinstance(error, RequestRefused) else "a page for people"
        if isinstance(error, RequestRefused) and error.status not in (*_ABSENT, *further):
            return error
        try:
            self._api.get(self._at)
        except (RequestRefused, UnexpectedResponse):
            return error
        return NotOffered(
            f"{self.name} takes no comment on this pull request (its answer: {said}).",
            "Show the report as the build's artifact. On Gogs, issues must be on.",
        )


def _is_open(item: Any) -> bool:
    return text(item, "state") in ("open", "")


def _pull(item: Any) -> PullRequest:
    return PullRequest(
        number=text(item, "number"),
        head=text(item, "head_commit.id"),
        head_branch=text(item, "head_branch"),
        target_branch=text(item, "base_branch"),
        title=text(item, "title"),
        url=text(item, "html_url"),
    )


def from_opening(opening: Opening) -> Gogs:
    """See `mlbutler.forge.registry`. DagsHub takes the token as its own client sends it, or with a user's name."""
    place = opening.place
    url = place.url.rstrip("/")
    web = f"{url}/{quote(place.repository)}"
    if place.kind == "gogs":
        token = opening.token(TOKEN)
        api = opening.api(_GOGS, f"{url}/api/v1", {}, {"Authorization": f"token {token}"})
        return Gogs(_GOGS, api, place.repository, web, opening.refs)
    secret = opening.bearer_or_basic("DAGSHUB_USER_TOKEN")
    return Gogs(_DAGSHUB, opening.api(_DAGSHUB, f"{url}/api/v1", {}, secret), place.repository, web, opening.refs)
