"""GitHub's, GitLab's and Gitea's APIs, as far as comments and statuses go."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from tests.forge.fake import CREATED, ME, TOKEN, Answer, Dialect, Note, Seen, page_of, parse_upload


class GitHub(Dialect):
    """GitHub Enterprise. `app`: is the token an app's?"""

    kind = "github"
    spec = "github"
    prefix = "/api/v3"
    limit = 65_536
    app = False
    routes = (
        ("GET", r"/user", "get_user"),
        ("GET", r"/repos/team/digits/issues/(\d+)/comments", "list_notes"),
        ("POST", r"/repos/team/digits/issues/(\d+)/comments", "create_note"),
        ("PATCH", r"/repos/team/digits/issues/comments/(\d+)", "update_note"),
        ("DELETE", r"/repos/team/digits/issues/comments/(\d+)", "delete_note"),
        ("GET", r"/repos/team/digits/commits/(\w{40})/comments", "list_notes"),
        ("POST", r"/repos/team/digits/commits/(\w{40})/comments", "create_note"),
        ("PATCH", r"/repos/team/digits/comments/(\d+)", "update_note"),
        ("DELETE", r"/repos/team/digits/comments/(\d+)", "delete_note"),
        ("POST", r"/repos/team/digits/statuses/(\w{40})", "status"),
        ("POST", r"/repos/team/digits/check-runs", "check"),
        ("GET", r"/repos/team/digits/commits/(\w{40})/check-runs", "list_checks"),
        ("PATCH", r"/repos/team/digits/check-runs/(\d+)", "update_check"),
        ("GET", r"/repos/team/digits/commits/(\w{40})/pulls", "pulls_of"),
        ("GET", r"/repos/team/digits/pulls", "list_pulls"),
        ("POST", r"/repos/team/digits/pulls", "open_pull"),
        ("PATCH", r"/repos/team/digits/pulls/(\d+)", "close_pull"),
        ("GET", r"/repos/team/digits/collaborators/(bot|user\d+)/permission", "permission"),
    )
    unlisted_methods = (("POST", r".*/pulls"), ("PATCH", r".*/pulls/\d+"), ("GET", r".*/collaborators/.*"))

    def note(self, note: Note, path: str) -> dict[str, Any]:
        made = self.example("GET", path)
        user = {**(made.get("user") or {}), "id": note.author, "login": f"user{note.author}", "type": "User"}
        if (self.app or self.user) and note.author == ME:
            user["type"] = "Bot"
        times = {"created_at": CREATED, "updated_at": note.updated}
        page = f"https://pages/{note.on}#{note.id}"
        return made | {"id": note.id, "body": note.body, "user": user, "html_url": page, **times}

    def permission(self, seen: Seen, query: dict[str, str], login: str) -> Answer:
        person = ME if login == "bot" else int(login.removeprefix("user"))
        role = self.role(person)
        if isinstance(role, Answer):
            return role
        return Answer(200, {"permission": role, "role_name": role, "user": {"id": person, "login": login}})

    def get_user(self, seen: Seen, query: dict[str, str]) -> Answer:
        if self.app:
            return Answer(403, {"message": "Resource not accessible by integration"})
        return self.user or Answer(200, self.example("GET", "/user") | {"id": ME, "login": "bot", "type": "User"})

    def list_notes(self, seen: Seen, query: dict[str, str], on: str) -> Answer:
        notes, more, page = page_of([self.note(n, seen.path) for n in self.on(on)], query, self.page)
        link = {"Link": f'<https://internal.invalid/x?page={page + 1}>; rel="next"'} if more else {}
        return Answer(200, notes, link)

    def create_note(self, seen: Seen, query: dict[str, str], on: str) -> Answer:
        if self.too_long(seen.json["body"]):
            return Answer(422, {"message": "Validation Failed", "errors": [
                {"resource": "IssueComment", "code": "unprocessable", "field": "data",
                 "message": "Body is too long (maximum is 65536 characters)"}]})  # fmt: skip
        return Answer(201, self.note(self.add(on, seen.json["body"]), seen.path))

    def status(self, seen: Seen, query: dict[str, str], sha: str) -> Answer:
        sent = seen.json
        self.keep(sha, sent)
        return Answer(201, self.example("POST", seen.path, "201") | {"url": f"https://pages/{sha}"})

    def check(self, seen: Seen, query: dict[str, str]) -> Answer:
        if not self.app:
            return Answer(403, {"message": "You must authenticate via a GitHub App."})
        self.checks.append({"id": len(self.checks) + 1, **seen.json})
        return Answer(201, {"id": len(self.checks), "html_url": "https://pages/check"})

    def list_checks(self, seen: Seen, query: dict[str, str], sha: str) -> Answer:
        runs = [c for c in self.checks if c["head_sha"] == sha and c["name"] == query["check_name"]]
        return Answer(200, {"total_count": len(runs), "check_runs": runs})

    def update_check(self, seen: Seen, query: dict[str, str], id: str) -> Answer:
        self.checks[int(id) - 1] |= seen.json
        return Answer(200, {"id": int(id), "html_url": "https://pages/check"})

    def _pull(self, pull: Any) -> dict[str, Any]:
        return {"number": pull.number, "state": "open", "title": "A title", "html_url": f"https://pages/{pull.number}",
                "head": {"sha": pull.head, "ref": pull.branch}, "base": {"ref": pull.target}}  # fmt: skip

    def pulls_of(self, seen: Seen, query: dict[str, str], sha: str) -> Answer:
        return Answer(200, [self._pull(p) for p in self.pulls if sha == p.head or sha in p.commits])

    def list_pulls(self, seen: Seen, query: dict[str, str]) -> Answer:
        return Answer(200, [self._pull(p) for p in self.pulls if f"team:{p.branch}" == query["head"]])

    def close_pull(self, seen: Seen, query: dict[str, str], number: str) -> Answer:
        assert seen.json == {"state": "closed"}
        return self.remove_pull(number)

    def open_pull(self, seen: Seen, query: dict[str, str]) -> Answer:
        assert seen.json.keys() == {"title", "body", "head", "base"}
        pull = self.add_pull(seen.json["head"], seen.json["base"])
        if pull is None:
            return Answer(422, {"message": "Validation Failed", "errors": [{"message": "It exists already"}]})
        return Answer(201, self._pull(pull))


class GitLab(Dialect):
    """GitLab below a path, with a project in two groups."""

    kind = "gitlab"
    spec = "gitlab"
    below = "/git/lab"
    prefix = "/git/lab/api/v4"
    described_from = "/api/v4"
    repository = "team/sub group/digits"
    token_header = ("PRIVATE-TOKEN", TOKEN)
    limit = 1_000_000
    _at = r"/projects/team%2Fsub%20group%2Fdigits"
    routes = (
        ("GET", r"/user", "get_user"),
        ("GET", rf"{_at}/merge_requests/(\d+)/notes", "list_notes"),
        ("POST", rf"{_at}/merge_requests/(\d+)/notes", "create_note"),
        ("PUT", rf"{_at}/merge_requests/\d+/notes/(\d+)", "update_note"),
        ("DELETE", rf"{_at}/merge_requests/\d+/notes/(\d+)", "delete_note"),
        ("GET", rf"{_at}/repository/commits/(\w{{40}})/comments", "list_notes"),
        ("POST", rf"{_at}/repository/commits/(\w{{40}})/comments", "create_note"),
        ("POST", rf"{_at}/statuses/(\w{{40}})", "status"),
        ("POST", rf"{_at}/uploads", "upload"),
        ("GET", rf"{_at}/repository/commits/(\w{{40}})/merge_requests", "pulls_of"),
        ("GET", rf"{_at}/merge_requests", "list_pulls"),
        ("POST", rf"{_at}/merge_requests", "open_pull"),
        ("PUT", rf"{_at}/merge_requests/(\d+)", "close_pull"),
        ("GET", rf"{_at}/members/all/(\d+)", "member"),
        ("GET", rf"{_at}/merge_requests/(\d+)/pipelines", "pipelines"),
        ("GET", r"/projects/(\d+)/pipelines/(\d+)/jobs", "jobs"),
        ("GET", r"/projects/(\d+)/jobs/(\d+)/artifacts/(.+)", "artifact"),
    )
    unlisted_methods = (
        ("POST", r".*/merge_requests"),
        ("PUT", r".*/merge_requests/\d+"),
        ("GET", r".*/members/all/\d+"),
        ("GET", r".*/(pipelines|jobs)(/.*)?"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.forks: dict[int, dict[str, int]] = {}
        self.run: dict[int, list[dict[str, object]]] = {}
        self.private: set[str] = set()

    def note(self, note: Note, path: str) -> dict[str, Any]:
        named = {"note": note.body} if len(note.on) == 40 else {"id": note.id, "body": note.body}
        author = {"id": note.author, "username": f"user{note.author}"}
        return {**named, "author": author, "system": False, "created_at": CREATED, "updated_at": note.updated}

    def pipelines(self, seen: Seen, query: dict[str, str], number: str) -> Answer:
        """Of one merge request: those of the fork's project with its `project` and `sha`, newest first."""
        return Answer(200, self.run.get(int(number), []))

    def jobs(self, seen: Seen, query: dict[str, str], project: str, pipeline: str) -> Answer:
        if project in self.private:
            return Answer(404, {"message": "404 Project Not Found"})
        return Answer(200, [{"id": 5, "name": "other", "status": "success"},
                            {"id": 10 + int(pipeline), "name": "mlbutler", "status": "failed"}])  # fmt: skip

    def artifact(self, seen: Seen, query: dict[str, str], project: str, job: str, path: str) -> Answer:
        content = self.files.get(f"{project}/{job}/{path}")
        return Answer(404, {"message": "404 Not Found"}) if content is None else Answer(200, content)

    def member(self, seen: Seen, query: dict[str, str], person: str) -> Answer:
        level = {"write": 30, "read": 20}.get(str(self.role(person)))
        if level is None:
            return Answer(404, {"message": "404 Not found"})
        return Answer(200, {"id": int(person), "state": "active", "membership_state": "active", "access_level": level})

    def text(self, sent: Any) -> str:
        return str(sent["body"]).rstrip()

    def get_user(self, seen: Seen, query: dict[str, str]) -> Answer:
        return self.user or Answer(200, {"id": ME, "username": "bot"})

    def list_notes(self, seen: Seen, query: dict[str, str], on: str) -> Answer:
        newest_first = self.on(on)[:: -1 if query.get("sort", "desc") == "desc" and len(on) < 40 else 1]
        notes, more, page = page_of([self.note(n, seen.path) for n in newest_first], query, self.page)
        return Answer(200, notes, {"X-Next-Page": str(page + 1) if more else "", "X-Page": str(page)})

    def create_note(self, seen: Seen, query: dict[str, str], on: str) -> Answer:
        text = seen.json["note" if len(on) == 40 else "body"]
        if self.too_long(text):
            return Answer(400, {"message": {"note": ["is too long (maximum is 1000000 characters)"]}})
        return Answer(201, self.note(self.add(on, text.rstrip()), seen.path))

    def missing(self) -> Answer:
        return Answer(404, {"message": "404 Project Not Found"})

    def status(self, seen: Seen, query: dict[str, str], sha: str) -> Answer:
        sent = seen.json
        last = next((s for s in reversed(self.statuses) if s["name"] == sent["name"] and s["sha"] == sha), None)
        if last is not None and last["state"] == sent["state"] == "running":
            return Answer(400, {"message": 'Cannot transition status via :run from :running (Reason(s): Status cannot '
                                           'transition via "run")'})  # fmt: skip
        self.keep(sha, sent, "name")
        return Answer(201, {"id": 1, "status": sent["state"]})

    def upload(self, seen: Seen, query: dict[str, str]) -> Answer:
        where, name, content = parse_upload(seen)
        assert where == "file"
        self.files[name] = content
        url = f"/uploads/{len(self.files):032x}/{name}"
        return Answer(
            201, {"alt": name, "url": url, "full_path": f"/-/project/1{url}", "markdown": f"![{name}]({url})"}
        )

    def _pull(self, pull: Any) -> dict[str, Any]:
        return {"iid": pull.number, "id": 9000 + pull.number, "state": "opened", "title": "A title", "sha": pull.head,
                "source_branch": pull.branch, "target_branch": pull.target, "web_url": "https://pages/"}  # fmt: skip

    def pulls_of(self, seen: Seen, query: dict[str, str], sha: str) -> Answer:
        return Answer(200, [self._pull(p) for p in self.pulls if sha == p.head or sha in p.commits])

    def list_pulls(self, seen: Seen, query: dict[str, str]) -> Answer:
        if "source_branch" not in query:
            own = {"source_project_id": 1, "target_project_id": 1}
            return Answer(200, [self._pull(p) | own | self.forks.get(p.number, {}) for p in self.pulls])
        return Answer(200, [self._pull(p) for p in self.pulls if p.branch == query["source_branch"]])

    def close_pull(self, seen: Seen, query: dict[str, str], number: str) -> Answer:
        assert seen.json == {"state_event": "close"}
        return self.remove_pull(number)

    def open_pull(self, seen: Seen, query: dict[str, str]) -> Answer:
        assert seen.json.keys() == {"title", "description", "source_branch", "target_branch"}
        pull = self.add_pull(seen.json["source_branch"], seen.json["target_branch"])
        if pull is None:
            return Answer(409, {"message": ["Another open merge request already exists for this source branch: !18"]})
        return Answer(201, self._pull(pull))


class Gitea(Dialect):
    """Gitea below a path."""

    kind = "gitea"
    spec = "gitea"
    below = "/gitea"
    prefix = "/gitea/api/v1"
    token_header = ("Authorization", f"token {TOKEN}")
    routes = (
        ("GET", r"/version", "version"),
        ("GET", r"/user", "get_user"),
        ("GET", r"/repos/team/digits/issues/(\d+)/comments", "list_notes"),
        ("POST", r"/repos/team/digits/issues/(\d+)/comments", "create_note"),
        ("PATCH", r"/repos/team/digits/issues/comments/(\d+)", "update_note"),
        ("DELETE", r"/repos/team/digits/issues/comments/(\d+)", "delete_note"),
        ("POST", r"/repos/team/digits/statuses/(\w{40})", "status"),
        ("GET", r"/repos/team/digits/issues/comments/(\d+)/assets", "assets"),
        ("POST", r"/repos/team/digits/issues/comments/(\d+)/assets", "upload"),
        ("GET", r"/repos/team/digits/pulls", "list_pulls"),
        ("POST", r"/repos/team/digits/pulls", "open_pull"),
        ("PATCH", r"/repos/team/digits/pulls/(\d+)", "close_pull"),
        ("GET", r"/repos/team/digits/collaborators/(bot|user\d+)/permission", "permission"),
    )
    unlisted_methods = (("POST", r".*/pulls"), ("PATCH", r".*/pulls/\d+"), ("GET", r".*/collaborators/.*"))

    def note(self, note: Note, path: str) -> dict[str, Any]:
        return {"id": note.id, "body": note.body, "user": {"id": note.author, "login": f"user{note.author}"},
                "html_url": f"https://pages/{note.on}#{note.id}", "original_author": "",
                "created_at": CREATED, "updated_at": note.updated}  # fmt: skip

    def permission(self, seen: Seen, query: dict[str, str], login: str) -> Answer:
        person = ME if login == "bot" else int(login.removeprefix("user"))
        role = self.role(person)
        if isinstance(role, Answer):
            return role
        return Answer(200, {"permission": role, "role_name": role, "user": {"id": person, "login": login}})

    def get_user(self, seen: Seen, query: dict[str, str]) -> Answer:
        return self.user or Answer(200, {"id": ME, "login": "bot"})

    def version(self, seen: Seen, query: dict[str, str]) -> Answer:
        return Answer(200, {"version": "1.22.6"})

    def list_notes(self, seen: Seen, query: dict[str, str], on: str) -> Answer:
        return Answer(200, [self.note(n, seen.path) for n in self.on(on)])

    def create_note(self, seen: Seen, query: dict[str, str], on: str) -> Answer:
        return Answer(201, self.note(self.add(on, seen.json["body"]), seen.path))

    def status(self, seen: Seen, query: dict[str, str], sha: str) -> Answer:
        sent = seen.json
        self.keep(sha, sent)
        return Answer(201, {"id": 1, "status": sent["state"], "url": f"https://pages/{sha}"})

    def assets(self, seen: Seen, query: dict[str, str], on: str) -> Answer:
        listed = [{"id": 1, "name": name, "browser_download_url": f"https://pages/{name}"} for name in self.files]
        return Answer(200, listed)

    def upload(self, seen: Seen, query: dict[str, str], on: str) -> Answer:
        where, name, content = parse_upload(seen)
        assert where == "attachment"
        name = unquote(query.get("name", name))
        self.files[name] = content
        return Answer(201, {"id": 1, "name": name, "browser_download_url": f"https://pages/{name}"})

    def list_pulls(self, seen: Seen, query: dict[str, str]) -> Answer:
        pulls, _, _ = page_of(self.pulls, query, 50, "limit")
        return Answer(200, [self._pull(p) for p in pulls])

    def _pull(self, pull: Any) -> dict[str, Any]:
        return {"number": pull.number, "title": "A title", "html_url": "https://pages/",
                "head": {"sha": pull.head, "ref": pull.branch}, "base": {"ref": pull.target}}  # fmt: skip

    def close_pull(self, seen: Seen, query: dict[str, str], number: str) -> Answer:
        assert seen.json == {"state": "closed"}
        return self.remove_pull(number)

    def open_pull(self, seen: Seen, query: dict[str, str]) -> Answer:
        assert seen.json.keys() == {"title", "body", "head", "base"}
        pull = self.add_pull(seen.json["head"], seen.json["base"])
        if pull is None:
            return Answer(409, {"message": "pull request already exists for these targets"})
        return Answer(201, self._pull(pull))
