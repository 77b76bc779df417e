"""Bitbucket Data Center (and Server). A comment is changed with the version it was read with, or not at all.

General comments on a pull request are among its activities; the list of comments is one file's. Comments on a commit
cannot be listed without a file, so that there is none of ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote

from mlbutler.escape import web_address
from mlbutler.forge import insights
from mlbutler.forge.answers import same_second, text, value_at, whole
from mlbutler.forge.bitbucket_cloud import key
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

_STATES = {
    CommitStatus.PENDING: "INPROGRESS", CommitStatus.SUCCESS: "SUCCESSFUL",
    CommitStatus.FAILURE: "FAILED", CommitStatus.ERROR: "UNKNOWN", CommitStatus.CANCELED: "CANCELLED",
}  # fmt: skip
_FAILED = "FAILED"  # what older servers know instead of the last two
_LONGEST_NAME = 255
_LONGEST_KEY = 50
_LONGEST_URL = 450
_LONGEST_REF = 1024
_PAGE = 100


class BitbucketServer:
    """One repository on Data Center.

    Args:
        web: the address of its pages.
    """

    name = "Bitbucket"
    capabilities = Capabilities(comment_limit=32_768, unit="characters", sentence_limit=255, html=False, folds=False)

    def __init__(self, api: Api, repository: str, web: str) -> None:
        project, _, slug = repository.partition("/")
        self._api = api
        self._at = f"/api/latest/projects/{quote(project)}/repos/{quote(slug)}"
        self._page = f"{web}/projects/{quote(project)}/repos/{quote(slug)}"
        self.capabilities = replace(self.capabilities, raw=f"{self._page}/raw/{{path}}?at={{commit}}")

    def me(self) -> TokenOwner:
        """See `ForgeAdapter.me`. Data Center names the user in a header of every answer."""
        answer = self._api.send("GET", "/api/latest/application-properties")
        name = unquote(answer.headers.get("x-ausername", ""))
        return TokenOwner(name, name)

    def pull_requests(self, change: Change) -> list[PullRequest]:
        """See `ForgeAdapter.pull_requests`."""
        try:
            listed = list(self._pages(f"{self._at}/commits/{change.head}/pull-requests"))
        except RequestRefused as error:
            if error.status != 404:
                raise
            listed = []
        found = [_pull(item) for item in listed if text(item, "state") == "OPEN"]
        if not found and change.head_branch:
            at = f"refs/heads/{change.head_branch}"
            pulls = self._pages(f"{self._at}/pull-requests", state="OPEN", direction="OUTGOING", at=at)
            found = [_pull(item) for item in pulls]
        return found

    def open_pull_request(self, change: Change, title: str, body: str) -> PullRequest:
        """See `ForgeAdapter.open_pull_request`."""
        asked = {
            "title": title, "description": body, "fromRef": {"id": f"refs/heads/{change.head_branch}"},
            "toRef": {"id": f"refs/heads/{change.target_branch}"},
        }  # fmt: skip
        return _pull(self._api.json(self._api.send("POST", f"{self._at}/pull-requests", json=asked)))

    def close_pull_request(self, change: Change, pull: PullRequest) -> None:
        """See `ForgeAdapter.close_pull_request`."""
        path = f"{self._at}/pull-requests/{pull.number}"
        version = value_at(self._api.get(path), "version") or 0
        self._api.send("POST", f"{path}/decline", json={"version": version})

    # ------------------------------------------------------------------------------------ comments

    def comments(self, change: Change) -> Iterator[Comment]:
        """See `ForgeAdapter.comments`; activities come newest first."""
        found = {}
        for activity in self._pages(f"{self._pull(change)}/activities"):
            comment = value_at(activity, "comment")
            if text(activity, "action") == "COMMENTED" and text(activity, "commentAction") in ("ADDED", ""):
                found[text(comment, "id")] = self._comment(change, comment)
        yield from sorted(found.values(), key=lambda c: (len(c.id), c.id))

    def create(self, change: Change, body: str) -> Comment:
        """See `ForgeAdapter.create`."""
        answer = self._api.send("POST", f"{self._pull(change)}/comments", json={"text": body})
        return self._comment(change, self._api.json(answer))

    def update(self, change: Change, comment: Comment, body: str) -> Comment:
        """See `ForgeAdapter.update`; 409 when somebody changed it meanwhile."""
        sent = {"text": body, "version": comment.version}
        answer = self._api.send("PUT", f"{self._pull(change)}/comments/{comment.id}", json=sent, fresh=True)
        return self._comment(change, self._api.json(answer))

    def delete(self, change: Change, comment: Comment) -> None:
        """See `ForgeAdapter.delete`; 409 when it has answers."""
        path = f"{self._pull(change)}/comments/{comment.id}"
        self._api.send("DELETE", path, params={"version": comment.version})

    def may_write(self, comment: Comment) -> bool | None:
        """See `ForgeAdapter.may_write`: by a project's permission or a group's too. The filter takes parts of names."""
        owner, _, name = self._at.removeprefix("/api/latest/projects/").partition("/repos/")
        asked = {
            "filter": comment.login, "permission.1": "REPO_WRITE", "permission.1.projectKey": unquote(owner),
            "permission.1.repositorySlug": unquote(name),
        }  # fmt: skip
        users = self._pages("/api/latest/users", **asked) if comment.login else ()
        return any(text(user, "name") == comment.author and value_at(user, "active") is True for user in users)

    def _pull(self, change: Change) -> str:
        return f"{self._at}/pull-requests/{quote(change.number or '', safe='')}"

    def _comment(self, change: Change, item: Any) -> Comment:
        id = text(item, "id")
        return Comment(
            id=id,
            body=text(item, "text"),
            author=text(item, "author.name"),
            login=text(item, "author.name"),
            original=text(item, "version") == "0" and same_second(item, "createdDate", "updatedDate"),
            url=f"{self._page}/pull-requests/{change.number}/overview?commentId={id}",
            version=whole(item, "version"),
        )

    def _pages(self, path: str, **params: str) -> Iterator[Any]:
        start = "0"
        for _ in range(MOST_PAGES):
            answer = self._api.get(path, **params, start=start, limit=_PAGE)
            values = value_at(answer, "values")
            yield from values if isinstance(values, list) else ()
            following = text(answer, "nextPageStart")
            if value_at(answer, "isLastPage") is not False or following in ("", start):
                return
            start = following

    # ------------------------------------------------------------------------------------ status

    def attach(self, change: Change, comment: Comment, picture: PictureFile) -> str:
        """Raise `NotOffered`: files cannot be uploaded here, as the capabilities say.

        Raises:
            NotOffered: always.
        """
        raise NotOffered(f"{self.name} takes no files in comments.")

    def status(self, change: Change, title: str, state: CommitStatus, sentence: str, target_url: str) -> str:
        """See `Forge.status`. Servers before 7.4 have statuses of a commit in no repository."""
        page = f"{self._page}/commits/{change.head}"
        url = web_address(target_url) or ""
        body = {
            "key": key(title, _LONGEST_NAME),
            "name": key(title, _LONGEST_NAME),
            "state": _STATES[state],
            "description": sentence,
            "url": url if 0 < len(url) <= _LONGEST_URL else page,
        }
        ref = f"refs/heads/{change.head_branch}"
        if change.head_branch and len(ref) <= _LONGEST_REF:
            body["ref"] = ref
        try:
            self._build(change.head, body)
        except RequestRefused as error:
            if error.status != 400 or state not in (CommitStatus.ERROR, CommitStatus.CANCELED):
                raise
            self._build(change.head, {**body, "state": _FAILED})
        return page

    def detail(
        self, change: Change, title: str, state: CommitStatus, sentence: str, target_url: str, details: StatusDetails
    ) -> None:
        """See `DetailedAdapter.detail`: a report of Code Insights."""
        middle = self._at.removeprefix("/api/latest")
        at = f"/insights/latest{middle}/commits/{change.head}/reports/{insights.report_id(key(title, _LONGEST_KEY))}"
        self._api.send("PUT", at, json=insights.server_report(state, title, sentence, target_url, details))
        self._api.send("DELETE", f"{at}/annotations")
        if told := insights.server_annotations(details.remarks):
            self._api.send("POST", f"{at}/annotations", json={"annotations": told}, again=True)

    def _build(self, head: str, body: dict[str, str]) -> None:
        try:
            self._api.send("POST", f"{self._at}/commits/{head}/builds", json=body, again=True)
        except RequestRefused as error:
            if error.status not in (404, 405):
                raise
            outside = {name: value for name, value in body.items() if name != "ref"}
            self._api.send("POST", f"/build-status/latest/commits/{head}", json=outside, again=True)


def _pull(item: Any) -> PullRequest:
    links = value_at(item, "links.self")
    return PullRequest(
        number=text(item, "id"),
        head=text(item, "fromRef.latestCommit"),
        head_branch=text(item, "fromRef.displayId"),
        target_branch=text(item, "toRef.displayId"),
        title=text(item, "title"),
        url=text(links[0], "href") if isinstance(links, list) and links else "",
    )
