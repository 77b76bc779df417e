"""GitHub and GitHub Enterprise, over their REST API.

Comments on a pull request are comments on an issue there. A status is a check run where the token is an app's (that of
GitHub Actions is), a commit status otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlsplit

from mlbutler.escape import markdown, web_address
from mlbutler.forge.answers import same_second, text, value_at
from mlbutler.forge.http import Api, OutcomeUnknown, RequestRefused
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
from mlbutler.forge.opening import Opening
from mlbutler.record import Change
from mlbutler.report.annotations import Annotation

_PERSONAL = ("ghp_", "github_pat_", "gho_")
_CONCLUSIONS = {CommitStatus.SUCCESS: "success", CommitStatus.FAILURE: "failure", CommitStatus.ERROR: "cancelled",
                CommitStatus.CANCELED: "cancelled"}  # fmt: skip
_REMARKS_AT_ONCE = 50
_NO_CHECKS = (403, 404, 410, 422)


class GitHub:
    """One repository on GitHub.

    Args:
        web: the repository's page. checks: is it worth trying check runs with this token?
    """

    name = "GitHub"
    # The limit is the one that GitHub's own refusal names: "Body is too long (maximum is 65536 characters)".
    capabilities = Capabilities(
        comment_limit=65_536, unit="characters", sentence_limit=140, checks=True, commit_comments=True
    )

    def __init__(self, api: Api, repository: str, web: str, *, checks: bool) -> None:
        self.capabilities = replace(self.capabilities, raw=f"{web}/raw/{{commit}}/{{path}}")
        self._api = api
        self._at = f"/repos/{quote(repository)}"
        self._owner = repository.partition("/")[0]
        self._checks = checks

    def me(self) -> TokenOwner:
        """See `ForgeAdapter.me`; an app's token may not ask."""
        try:
            user = self._api.get("/user")
        except RequestRefused as error:
            if error.status != 403:
                raise
            return TokenOwner(name="an app", program=True)
        return TokenOwner(text(user, "id"), text(user, "login"))

    def pull_requests(self, change: Change) -> list[PullRequest]:
        """See `ForgeAdapter.pull_requests`."""
        try:
            found = [_pull(p) for p in self._api.pages(f"{self._at}/commits/{change.head}/pulls") if _is_open(p)]
        except RequestRefused as error:
            if error.status not in (404, 409, 422):  # the commit is not there
                raise
            found = []
        if not found and change.head_branch:
            head = f"{self._owner}:{change.head_branch}"
            found = [_pull(p) for p in self._api.pages(f"{self._at}/pulls", state="open", head=head)]
        return found

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
        yield from (_comment(item) for item in self._api.pages(f"{self._place(change)}/comments"))

    def create(self, change: Change, body: str) -> Comment:
        """See `ForgeAdapter.create`."""
        answer = self._api.send("POST", f"{self._place(change)}/comments", json={"body": body})
        return _comment(self._api.json(answer))

    def update(self, change: Change, comment: Comment, body: str) -> Comment:
        """See `ForgeAdapter.update`."""
        answer = self._api.send("PATCH", self._one(change, comment), json={"body": body}, fresh=True)
        return _comment(self._api.json(answer))

    def delete(self, change: Change, comment: Comment) -> None:
        """See `ForgeAdapter.delete`."""
        self._api.send("DELETE", self._one(change, comment))

    def may_write(self, comment: Comment) -> bool | None:
        """See `ForgeAdapter.may_write`. A login can pass to somebody else: the id has to be the same."""
        if not comment.human:
            return False
        found = self._api.get(f"{self._at}/collaborators/{quote(comment.login, safe='')}/permission")
        return text(found, "user.id") == comment.author and text(found, "permission") in ("admin", "write")

    def _place(self, change: Change) -> str:
        if change.number is None:
            return f"{self._at}/commits/{change.head}"
        return f"{self._at}/issues/{quote(change.number, safe='')}"

    def _one(self, change: Change, comment: Comment) -> str:
        middle = "" if change.number is None else "/issues"
        return f"{self._at}{middle}/comments/{comment.id}"

    # ------------------------------------------------------------------------------------ status

    def attach(self, change: Change, comment: Comment, picture: PictureFile) -> str:
        """Raise `NotOffered`: files cannot be uploaded here, as the capabilities say.

        Raises:
            NotOffered: always.
        """
        raise NotOffered(f"{self.name} takes no files in comments.")

    def status(self, change: Change, title: str, state: CommitStatus, sentence: str, target_url: str) -> str:
        """See `Forge.status`."""
        if self._checks:
            try:
                return self._check(change, title, state, sentence, target_url)
            except RequestRefused as error:
                if error.status not in _NO_CHECKS:
                    raise
                self._checks = False
        stated = CommitStatus.ERROR if state is CommitStatus.CANCELED else state  # only checks know more
        body = {"state": stated.value, "context": title, "description": sentence}
        if url := web_address(target_url):
            body["target_url"] = url
        answer = self._api.json(self._api.send("POST", f"{self._at}/statuses/{change.head}", json=body, again=True))
        return text(answer, "url")

    def _check(self, change: Change, title: str, state: CommitStatus, sentence: str, target_url: str) -> str:
        body: dict[str, Any] = {"name": title, "external_id": title}
        body["output"] = {"title": sentence or title, "summary": markdown(sentence or title)}  # only that is Markdown
        if url := web_address(target_url):
            body["details_url"] = url
        if state is CommitStatus.PENDING:
            body["status"] = "in_progress"
        else:
            body |= {"status": "completed", "conclusion": _CONCLUSIONS[state]}
        run = self._own_check(change, title)
        if run is None:
            try:
                answer = self._api.send("POST", f"{self._at}/check-runs", json={**body, "head_sha": change.head})
                return text(self._api.json(answer), "html_url", "url")
            except OutcomeUnknown:
                run = self._own_check(change, title)
                if run is None:
                    raise
        return text(self._api.json(self._api.send("PATCH", f"{self._at}/check-runs/{run}", json=body)), "html_url")

    def detail(
        self, change: Change, title: str, state: CommitStatus, sentence: str, target_url: str, details: StatusDetails
    ) -> None:
        """See `DetailedAdapter.detail`: in the check run, where the status is one.

        GitHub adds remarks to those that are there: a commit that is built again keeps its first ones.
        """
        run = self._check_run(change, title) if self._checks else None
        if run is None:
            return
        output = {"title": sentence or title, "summary": markdown(sentence or title), "text": details.report}
        remarks = () if value_at(run, "output.annotations_count") else details.remarks
        for first in range(0, max(len(remarks), 1), _REMARKS_AT_ONCE):
            told = [_remark(remark) for remark in remarks[first : first + _REMARKS_AT_ONCE]]
            body = {"output": {**output, "annotations": told} if told else output}
            self._api.send("PATCH", f"{self._at}/check-runs/{text(run, 'id')}", json=body)

    def _own_check(self, change: Change, title: str) -> str | None:
        run = self._check_run(change, title)
        return None if run is None else text(run, "id")

    def _check_run(self, change: Change, title: str) -> Any:
        path = f"{self._at}/commits/{change.head}/check-runs"
        runs = self._api.get(path, check_name=title, per_page=100)
        items = value_at(runs, "check_runs")
        listed = items if isinstance(items, list) else ()
        return next((run for run in listed if text(run, "external_id") == title), None)


def _remark(remark: Annotation) -> dict[str, Any]:
    return {
        "path": remark.path, "start_line": remark.line, "end_line": remark.line, "annotation_level": remark.level,
        "title": remark.title, "message": remark.message,
    }  # fmt: skip


def _is_open(pull: Any) -> bool:
    return text(pull, "state") == "open"


def _pull(pull: Any) -> PullRequest:
    return PullRequest(
        number=text(pull, "number"), head=text(pull, "head.sha"), head_branch=text(pull, "head.ref"),
        target_branch=text(pull, "base.ref"), title=text(pull, "title"), url=text(pull, "html_url"),
    )  # fmt: skip


def _comment(item: Any) -> Comment:
    return Comment(
        id=text(item, "id"), body=text(item, "body"), author=text(item, "user.id"),
        login=text(item, "user.login"), human=text(item, "user.type") == "User", url=text(item, "html_url"),
        original=same_second(item, "created_at", "updated_at"),
    )  # fmt: skip


def api_address(url: str) -> str:
    """Return the API's address of the GitHub at `url`: its own host at github.com and ghe.com, a path elsewhere."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if host == "github.com" or host.endswith(".ghe.com"):
        return f"https://api.{host}"
    return f"{url.rstrip('/')}/api/v3"


def from_opening(opening: Opening) -> GitHub:
    """See `mlbutler.forge.registry`."""
    token = opening.token("GITHUB_TOKEN", "GH_TOKEN", "GH_ENTERPRISE_TOKEN")
    headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    api = opening.api(GitHub.name, api_address(opening.place.url), headers, {"Authorization": f"Bearer {token}"})
    web = f"{opening.place.url.rstrip('/')}/{quote(opening.place.repository)}"
    return GitHub(api, opening.place.repository, web, checks=not token.startswith(_PERSONAL))
