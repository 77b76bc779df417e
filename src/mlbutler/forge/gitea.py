"""Gitea and Forgejo: comments on a pull request are comments on an issue, and come in one answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from mlbutler.escape import web_address
from mlbutler.forge import gogs
from mlbutler.forge.answers import same_second, text
from mlbutler.forge.http import Api, OutcomeUnknown, RequestRefused
from mlbutler.forge.interface import Capabilities, Comment, CommitStatus, PictureFile, PullRequest, TokenOwner
from mlbutler.forge.opening import Opening
from mlbutler.record import Change

_UPLOADS = 3
_PAGE = 50  # what a server gives at most unless its owner chose otherwise


class Gitea:
    """One repository on Gitea or Forgejo."""

    name = "Gitea"
    capabilities = Capabilities(comment_limit=None, unit="characters", sentence_limit=255, pictures="attached")

    def __init__(self, api: Api, repository: str) -> None:
        self._api = api
        self._at = f"/repos/{quote(repository)}"

    def me(self) -> TokenOwner:
        """See `ForgeAdapter.me`; a token with few scopes may not ask."""
        user = self._api.get("/user")
        return TokenOwner(text(user, "id"), text(user, "login"))

    def pull_requests(self, change: Change) -> list[PullRequest]:
        """See `ForgeAdapter.pull_requests`. The list cannot be asked by branch: all open ones are looked at."""
        pulls = [
            _pull(item) for item in self._api.pages(f"{self._at}/pulls", size=_PAGE, size_name="limit", state="open")
        ]
        by_commit = [pull for pull in pulls if pull.head == change.head]
        return by_commit or [pull for pull in pulls if change.head_branch and pull.head_branch == change.head_branch]

    def open_pull_request(self, change: Change, title: str, body: str) -> PullRequest:
        """See `ForgeAdapter.open_pull_request`."""
        asked = {"title": title, "body": body, "head": change.head_branch, "base": change.target_branch}
        return _pull(self._api.json(self._api.send("POST", f"{self._at}/pulls", json=asked)))

    def close_pull_request(self, change: Change, pull: PullRequest) -> None:
        """See `ForgeAdapter.close_pull_request`."""
        self._api.send("PATCH", f"{self._at}/pulls/{pull.number}", json={"state": "closed"})

    # ------------------------------------------------------------------------------------ comments

    def comments(self, change: Change) -> Iterator[Comment]:
        """See `ForgeAdapter.comments`."""
        yield from (_comment(item) for item in self._api.whole(f"{self._pull(change)}/comments"))

    def create(self, change: Change, body: str) -> Comment:
        """See `ForgeAdapter.create`."""
        return _comment(self._api.json(self._api.send("POST", f"{self._pull(change)}/comments", json={"body": body})))

    def update(self, change: Change, comment: Comment, body: str) -> Comment:
        """See `ForgeAdapter.update`."""
        answer = self._api.send("PATCH", f"{self._at}/issues/comments/{comment.id}", json={"body": body}, fresh=True)
        return _comment(self._api.json(answer)) if answer.content else comment

    def delete(self, change: Change, comment: Comment) -> None:
        """See `ForgeAdapter.delete`."""
        self._api.send("DELETE", f"{self._at}/issues/comments/{comment.id}")

    def attach(self, change: Change, comment: Comment, picture: PictureFile) -> str:
        """See `ForgeAdapter.attach`.

        One that is there already is not uploaded again, such as by a request that was answered with an error and done.
        """
        path = f"{self._at}/issues/comments/{comment.id}/assets"
        files = {"attachment": (picture.name, picture.content, picture.media)}
        unsure: OutcomeUnknown | None = None
        for _ in range(_UPLOADS):
            listed = self._api.get(path)
            for item in listed if isinstance(listed, list) else ():
                if text(item, "name") == picture.name:
                    return text(item, "browser_download_url")
            try:
                answer = self._api.send("POST", path, params={"name": picture.name}, files=files)
                return text(self._api.json(answer), "browser_download_url")
            except OutcomeUnknown as error:
                unsure = error
        assert unsure is not None
        raise unsure

    def may_write(self, comment: Comment) -> bool | None:
        """See `ForgeAdapter.may_write`. It answers those who administer the repository alone."""
        found = self._api.get(f"{self._at}/collaborators/{quote(comment.login, safe='')}/permission")
        allowed = text(found, "permission") in ("write", "admin", "owner")
        return allowed and text(found, "user.id") == comment.author

    def _pull(self, change: Change) -> str:
        return f"{self._at}/issues/{quote(change.number or '', safe='')}"

    # ------------------------------------------------------------------------------------ status

    def status(self, change: Change, title: str, state: CommitStatus, sentence: str, target_url: str) -> str:
        """See `Forge.status`."""
        stated = CommitStatus.ERROR if state is CommitStatus.CANCELED else state  # it knows no other
        body = {"state": stated.value, "context": title, "description": sentence}
        if url := web_address(target_url):
            body["target_url"] = url
        path = f"{self._at}/statuses/{change.head}"
        return text(self._api.json(self._api.send("POST", path, json=body, again=True)), "url")


def _pull(item: Any) -> PullRequest:
    return PullRequest(
        number=text(item, "number"), head=text(item, "head.sha"), head_branch=text(item, "head.ref", "head.label"),
        target_branch=text(item, "base.ref"), title=text(item, "title"), url=text(item, "html_url"),
    )  # fmt: skip


def _comment(item: Any) -> Comment:
    return Comment(
        id=text(item, "id"), body=text(item, "body"), author=text(item, "user.id"), url=text(item, "html_url"),
        login=text(item, "user.login"),
        original=not text(item, "original_author") and same_second(item, "created_at", "updated_at"),
    )  # fmt: skip


def from_opening(opening: Opening) -> Gitea | gogs.Gogs:
    """See `mlbutler.forge.registry`. Where only a page's address says that it is Gitea, the server is asked."""
    names = ("GITEA_TOKEN", "FORGEJO_TOKEN")
    if opening.place.guessed and not _has_version(_api(opening, *names, gogs.TOKEN)):
        return gogs.from_opening(replace(opening, place=replace(opening.place, kind="gogs", guessed=False)))
    return Gitea(_api(opening, *names), opening.place.repository)


def _api(opening: Opening, *names: str) -> Api:
    base = f"{opening.place.url.rstrip('/')}/api/v1"
    return opening.api(Gitea.name, base, {}, {"Authorization": f"token {opening.token(*names)}"})


def _has_version(api: Api) -> bool:
    """Return whether the server tells its version, which Gogs has no address for."""
    try:
        api.get("/version")
    except RequestRefused as error:
        return error.status != 404
    return True
