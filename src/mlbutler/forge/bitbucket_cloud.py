"""Bitbucket Cloud. Its Markdown knows no HTML; the next page of a list has an address that only it understands."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from mlbutler.escape import web_address
from mlbutler.forge import insights
from mlbutler.forge.answers import same_second, text, value_at
from mlbutler.forge.http import MOST_PAGES, Api, RequestRefused
from mlbutler.forge.interface import (
    Capabilities,
    Comment,
    CommitStatus,
    NotOffered,
    PictureFile,
    PullRequest,
    StatusDetails,
    TokenOwner,
)
from mlbutler.record import Change

# Nothing was judged where a run was stopped or something outside failed: neither is a failure.
_STATES = {
    CommitStatus.PENDING: "INPROGRESS", CommitStatus.SUCCESS: "SUCCESSFUL",
    CommitStatus.FAILURE: "FAILED", CommitStatus.ERROR: "STOPPED", CommitStatus.CANCELED: "STOPPED",
}  # fmt: skip
_LONGEST_KEY = 40
_MOST_PULLS = 50
_MOST_COMMENTS = 100
_REMARKS_AT_ONCE = 100


class BitbucketCloud:
    """One repository on bitbucket.org."""

    name = "Bitbucket"
    # The length was found out by users; Atlassian does not say it.
    capabilities = Capabilities(
        comment_limit=32_768, unit="characters", sentence_limit=255, html=False, folds=False, commit_comments=True
    )

    def __init__(self, api: Api, repository: str) -> None:
        self._api = api
        self._at = f"/repositories/{quote(repository)}"
        self._page = f"https://bitbucket.org/{quote(repository)}"
        self.capabilities = replace(self.capabilities, raw=f"{self._page}/raw/{{commit}}/{{path}}")

    def me(self) -> TokenOwner:
        """See `ForgeAdapter.me`; a repository's own token may not ask."""
        user = self._api.get("/user")
        return TokenOwner(text(user, "uuid", "account_id"), text(user, "display_name", "nickname"))

    def pull_requests(self, change: Change) -> list[PullRequest]:
        """See `ForgeAdapter.pull_requests`. Those of a commit are not known while Bitbucket indexes it."""
        try:
            listed = list(self._pages(f"{self._at}/commit/{change.head}/pullrequests", _MOST_PULLS))
        except RequestRefused as error:
            if error.status != 404:
                raise
            listed = []
        found = [_pull(item, change) for item in listed if text(item, "state") == "OPEN" and value_at(item, "source")]
        if not found and change.head_branch:
            pulls = (_pull(i, change) for i in self._pages(f"{self._at}/pullrequests", _MOST_PULLS, state="OPEN"))
            found = [pull for pull in pulls if pull.head_branch == change.head_branch]
        return found

    def open_pull_request(self, change: Change, title: str, body: str) -> PullRequest:
        """See `ForgeAdapter.open_pull_request`."""
        asked = {
            "title": title, "description": body, "source": {"branch": {"name": change.head_branch}},
            "destination": {"branch": {"name": change.target_branch}},
        }  # fmt: skip
        return _pull(self._api.json(self._api.send("POST", f"{self._at}/pullrequests", json=asked)), change)

    def close_pull_request(self, change: Change, pull: PullRequest) -> None:
        """See `ForgeAdapter.close_pull_request`."""
        self._api.send("POST", f"{self._at}/pullrequests/{pull.number}/decline")

    # ------------------------------------------------------------------------------------ comments

    def comments(self, change: Change) -> Iterator[Comment]:
        """See `ForgeAdapter.comments`; deleted ones are still listed."""
        listed = self._pages(f"{self._place(change)}/comments", _MOST_COMMENTS)
        yield from (_comment(item) for item in listed if value_at(item, "deleted") is not True)

    def create(self, change: Change, body: str) -> Comment:
        """See `ForgeAdapter.create`."""
        answer = self._api.send("POST", f"{self._place(change)}/comments", json={"content": {"raw": body}})
        return _comment(self._api.json(answer))

    def update(self, change: Change, comment: Comment, body: str) -> Comment:
        """See `ForgeAdapter.update`."""
        path = f"{self._place(change)}/comments/{comment.id}"
        return _comment(self._api.json(self._api.send("PUT", path, json={"content": {"raw": body}}, fresh=True)))

    def delete(self, change: Change, comment: Comment) -> None:
        """See `ForgeAdapter.delete`."""
        self._api.send("DELETE", f"{self._place(change)}/comments/{comment.id}")

    def may_write(self, comment: Comment) -> bool | None:
        """See `ForgeAdapter.may_write`: what they may do in effect, by groups too. It answers administrators alone."""
        workspace, _, name = self._at.removeprefix("/repositories/").partition("/")
        for item in self._pages(f"/workspaces/{workspace}/permissions/repositories/{name}", _MOST_COMMENTS):
            if comment.author and text(item, "user.uuid") == comment.author:
                return text(item, "permission") in ("write", "admin")
        return False

    def _place(self, change: Change) -> str:
        if change.number is None:
            return f"{self._at}/commit/{change.head}"
        return f"{self._at}/pullrequests/{quote(change.number, safe='')}"

    def _pages(self, path: str, size: int, **params: str) -> Iterator[Any]:
        """Return every item.

        The next page's address is followed as it is: the token goes with it to the same host alone.
        """
        answer = self._api.get(path, **params, pagelen=size)
        for _ in range(MOST_PAGES):
            values = value_at(answer, "values")
            yield from values if isinstance(values, list) else ()
            if not (following := text(answer, "next")):
                return
            answer = self._api.get(following)

    # ------------------------------------------------------------------------------------ status

    def attach(self, change: Change, comment: Comment, picture: PictureFile) -> str:
        """Raise `NotOffered`: files cannot be uploaded here, as the capabilities say.

        Raises:
            NotOffered: always.
        """
        raise NotOffered(f"{self.name} takes no files in comments.")

    def status(self, change: Change, title: str, state: CommitStatus, sentence: str, target_url: str) -> str:
        """See `Forge.status`. A status needs an address: the commit's page where there is no build's."""
        page = f"{self._page}/commits/{change.head}"
        body = {
            "key": key(title, _LONGEST_KEY),
            "name": title,
            "state": _STATES[state],
            "description": sentence,
            "url": web_address(target_url) or page,
        }
        self._api.send("POST", f"{self._at}/commit/{change.head}/statuses/build", json=body, again=True)
        return page

    def detail(
        self, change: Change, title: str, state: CommitStatus, sentence: str, target_url: str, details: StatusDetails
    ) -> None:
        """See `DetailedAdapter.detail`: a report of Code Insights. One that is there goes first, with its remarks."""
        at = f"{self._at}/commit/{change.head}/reports/{insights.report_id(key(title, _LONGEST_KEY))}"
        with suppress(RequestRefused):  # there is none
            self._api.send("DELETE", at)
        self._api.send("PUT", at, json=insights.cloud_report(state, title, sentence, target_url, details))
        told = insights.cloud_annotations(details.remarks)
        for first in range(0, len(told), _REMARKS_AT_ONCE):
            self._api.send("POST", f"{at}/annotations", json=told[first : first + _REMARKS_AT_ONCE], again=True)


def key(title: str, longest: int) -> str:
    """Return `title` where it fits, else its beginning and a digest."""
    if len(title) <= longest:
        return title
    digest = hashlib.sha256(title.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{title[: longest - 13]}-{digest}"


def _pull(item: Any, change: Change) -> PullRequest:
    abbreviated = text(item, "source.commit.hash")
    return PullRequest(
        number=text(item, "id"),
        head=change.head if abbreviated and change.head.startswith(abbreviated) else abbreviated,
        head_branch=text(item, "source.branch.name"),
        target_branch=text(item, "destination.branch.name"),
        title=text(item, "title"),
        url=text(item, "links.html.href"),
    )


def _comment(item: Any) -> Comment:
    return Comment(
        id=text(item, "id"),
        body=text(item, "content.raw"),
        author=text(item, "user.uuid", "user.account_id"),
        login=text(item, "user.nickname", "user.display_name"),
        original=same_second(item, "created_on", "updated_on"),
        url=text(item, "links.html.href"),
    )
