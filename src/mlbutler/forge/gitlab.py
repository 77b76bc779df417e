"""GitLab, on gitlab.com or one's own host, also served below a path.

A status that no pipeline is named for joins one of the commit's pipelines that GitLab chooses, or makes a new one,
which then stands for the merge request. So none is set from a job of the project itself, which is a status already.
Its pipeline cannot be named instead: it has to be one of that commit, and that of a merged result is of another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from mlbutler.escape import web_address
from mlbutler.forge.answers import same_second, text, value_at
from mlbutler.forge.http import Api, RequestRefused, UnexpectedResponse
from mlbutler.forge.interface import (
    Capabilities,
    Comment,
    CommitStatus,
    ForkBundle,
    PictureFile,
    PullRequest,
    TokenOwner,
)
from mlbutler.forge.opening import Opening
from mlbutler.record import Change

_STATES = {
    CommitStatus.PENDING: "running", CommitStatus.SUCCESS: "success",
    CommitStatus.FAILURE: "failed", CommitStatus.ERROR: "failed", CommitStatus.CANCELED: "canceled",
}  # fmt: skip
_LONGEST_URL = 255
_DEVELOPER = 30
_ENDED = ("success", "failed")
_ALREADY = "Cannot transition status"


class GitLab:
    """One project on GitLab.

    Args:
        in_own_job: do we run in a job that the project's merge requests show?
    """

    name = "GitLab"
    # Note::note has a validated length; comments on commits have no address to change them by.
    capabilities = Capabilities(
        comment_limit=1_000_000,
        unit="characters",
        sentence_limit=255,
        pictures="attached",
        commit_comments=True,
        editing=False,
    )

    def __init__(self, api: Api, repository: str, web: str, *, in_own_job: bool = False) -> None:
        if in_own_job:
            self.capabilities = replace(self.capabilities, no_status="the job is the status in GitLab CI")
        self._api = api
        self._at = f"/projects/{quote(repository, safe='')}"
        self._web = f"{web}/{quote(repository)}"

    def me(self) -> TokenOwner:
        """See `ForgeAdapter.me`."""
        user = self._api.get("/user")
        return TokenOwner(text(user, "id"), text(user, "username"))

    def pull_requests(self, change: Change) -> list[PullRequest]:
        """See `ForgeAdapter.pull_requests`."""
        try:
            listed = list(self._api.pages(f"{self._at}/repository/commits/{change.head}/merge_requests"))
        except RequestRefused as error:
            if error.status != 404:  # the commit is not there
                raise
            listed = []
        found = [_pull(item) for item in listed if text(item, "state") == "opened"]
        if not found and change.head_branch:
            path = f"{self._at}/merge_requests"
            found = [_pull(i) for i in self._api.pages(path, state="opened", source_branch=change.head_branch)]
        return found

    def open_pull_request(self, change: Change, title: str, body: str) -> PullRequest:
        """See `ForgeAdapter.open_pull_request`."""
        asked = {
            "title": title, "description": body, "source_branch": change.head_branch,
            "target_branch": change.target_branch,
        }  # fmt: skip
        return _pull(self._api.json(self._api.send("POST", f"{self._at}/merge_requests", json=asked)))

    def close_pull_request(self, change: Change, pull: PullRequest) -> None:
        """See `ForgeAdapter.close_pull_request`."""
        path = f"{self._at}/merge_requests/{pull.number}"
        self._api.send("PUT", path, json={"state_event": "close"})

    # ------------------------------------------------------------------------------------ comments

    def comments(self, change: Change) -> Iterator[Comment]:
        """See `ForgeAdapter.comments`."""
        if change.number is None:
            path = f"{self._commit(change)}/comments"
            yield from (self._parse_note(change, item) for item in self._api.pages(path))
        else:
            path = f"{self._merge_request(change)}/notes"
            for item in self._api.pages(path, sort="asc", order_by="created_at"):
                yield self._parse_note(change, item)

    def create(self, change: Change, body: str) -> Comment:
        """See `ForgeAdapter.create`."""
        if change.number is None:
            answer = self._api.send("POST", f"{self._commit(change)}/comments", json={"note": body})
        else:
            answer = self._api.send("POST", f"{self._merge_request(change)}/notes", json={"body": body})
        return self._parse_note(change, self._api.json(answer))

    def update(self, change: Change, comment: Comment, body: str) -> Comment:
        """See `ForgeAdapter.update`. A comment on a commit cannot be changed: a further one takes its place."""
        if change.number is None:
            return self.create(change, body)
        path = f"{self._merge_request(change)}/notes/{comment.id}"
        answer = self._api.send("PUT", path, json={"body": body}, fresh=True)
        return self._parse_note(change, self._api.json(answer))

    def delete(self, change: Change, comment: Comment) -> None:
        """See `ForgeAdapter.delete`."""
        if change.number is not None:
            self._api.send("DELETE", f"{self._merge_request(change)}/notes/{comment.id}")

    def may_write(self, comment: Comment) -> bool | None:
        """See `ForgeAdapter.may_write`: a member, of a group above too, who is Developer or more."""
        member = self._api.get(f"{self._at}/members/all/{quote(comment.author, safe='')}")
        level = value_at(member, "access_level")
        active = text(member, "state") == "active" and text(member, "membership_state") in ("active", "")
        return active and text(member, "id") == comment.author and isinstance(level, int) and level >= _DEVELOPER

    def fork_bundles(self, job: str, path: str) -> Iterator[ForkBundle]:
        """Yield what forks' pipelines left for open merge requests: of each head the newest job that ended.

        Such a pipeline runs in the fork's project, with the fork's configuration: what it left may be anything. Which
        commit it is of, and that the merge request has that head, is GitLab's word.

        Args:
            path: of the file among the job's artifacts.

        Raises:
            ForgeError: the merge requests could not be listed. What a fork shows to nobody is passed over.
        """
        for merge_request in self._api.pages(f"{self._at}/merge_requests", state="opened", order_by="updated_at"):
            source = text(merge_request, "source_project_id")
            if not source or source == text(merge_request, "target_project_id"):
                continue
            number, head = text(merge_request, "iid"), text(merge_request, "sha")
            try:
                content = self._download_artifact(source, number, head, job, path)
            except (RequestRefused, UnexpectedResponse):
                continue
            if content:
                yield ForkBundle(number, head, content)

    def _download_artifact(self, source: str, number: str, head: str, job: str, path: str) -> bytes:
        for pipeline in self._api.pages(f"{self._at}/merge_requests/{quote(number, safe='')}/pipelines"):
            if (text(pipeline, "sha"), text(pipeline, "project_id")) != (head, source):
                continue
            project = f"/projects/{quote(source, safe='')}"
            for one in self._api.pages(f"{project}/pipelines/{quote(text(pipeline, 'id'), safe='')}/jobs"):
                if text(one, "name") == job and text(one, "status") in _ENDED:
                    at = f"{project}/jobs/{quote(text(one, 'id'), safe='')}/artifacts/{quote(path)}"
                    return self._api.send("GET", at).content
        return b""

    def attach(self, change: Change, comment: Comment, picture: PictureFile) -> str:
        """See `ForgeAdapter.attach`. Uploads belong to the project; a second one of the same file harms nothing."""
        files = {"file": (picture.name, picture.content, picture.media)}
        return text(self._api.json(self._api.send("POST", f"{self._at}/uploads", files=files, again=True)), "url")

    def _merge_request(self, change: Change) -> str:
        return f"{self._at}/merge_requests/{quote(change.number or '', safe='')}"

    def _commit(self, change: Change) -> str:
        return f"{self._at}/repository/commits/{change.head}"

    def _parse_note(self, change: Change, item: Any) -> Comment:
        if change.number is None:
            url = f"{self._web}/-/commit/{change.head}"
        else:
            url = f"{self._web}/-/merge_requests/{change.number}#note_{text(item, 'id')}"
        theirs = value_at(item, "system") is not True and value_at(item, "imported") is not True
        return Comment(
            id=text(item, "id"), body=text(item, "body", "note"), author=text(item, "author.id"), url=url,
            login=text(item, "author.username"), original=theirs and same_second(item, "created_at", "updated_at"),
        )  # fmt: skip

    # ------------------------------------------------------------------------------------ status

    def status(self, change: Change, title: str, state: CommitStatus, sentence: str, target_url: str) -> str:
        """See `Forge.status`. That it is in this state already is no error here, though it is one for GitLab."""
        body = {"state": _STATES[state], "name": title, "description": sentence}
        if change.head_branch:
            body["ref"] = change.head_branch
        if (url := web_address(target_url)) and len(url) <= _LONGEST_URL:
            body["target_url"] = url
        try:
            self._api.send("POST", f"{self._at}/statuses/{change.head}", json=body, again=True)
        except RequestRefused as error:
            if error.status != 400 or _ALREADY not in error.said:
                raise
        return f"{self._web}/-/commit/{change.head}/pipelines"


def _pull(item: Any) -> PullRequest:
    return PullRequest(
        number=text(item, "iid"), head=text(item, "sha"), head_branch=text(item, "source_branch"),
        target_branch=text(item, "target_branch"), title=text(item, "title"), url=text(item, "web_url"),
    )  # fmt: skip


def from_opening(opening: Opening) -> GitLab:
    """See `mlbutler.forge.registry`."""
    url = opening.place.url.rstrip("/")
    token = opening.token("GITLAB_TOKEN", "GITLAB_PRIVATE_TOKEN")
    api = opening.api(GitLab.name, f"{url}/api/v4", {}, {"PRIVATE-TOKEN": token})
    repository = opening.place.repository
    return GitLab(api, repository, url, in_own_job=_runs_for(opening.environ, url, repository))


def _runs_for(environ: Mapping[str, str], url: str, repository: str) -> bool:
    """Return whether this is a job of the project, or of a fork's merge request into it."""
    if not environ.get("GITLAB_CI") or environ.get("CI_SERVER_URL", "").rstrip("/").lower() != url.lower():
        return False
    projects = (environ.get("CI_PROJECT_PATH", ""), environ.get("CI_MERGE_REQUEST_PROJECT_PATH", ""))
    return repository.lower() in (project.lower() for project in projects)
