"""DagsHub's, Gogs' and both Bitbuckets' APIs, as far as comments and statuses go."""

from __future__ import annotations

from typing import Any

from tests.forge.fake import CREATED, ME, TOKEN, Answer, Dialect, Note, Seen


class Gogs(Dialect):
    """Gogs: no pull requests, no statuses, and comments in one answer."""

    kind = "gogs"
    spec = "gogs"
    prefix = "/api/v1"
    token_header = ("Authorization", f"token {TOKEN}")
    limit = 65_535
    unit = "bytes"
    finds_pulls = False
    undescribed = ("/repos/team/digits/pulls", "/version")
    routes: tuple[tuple[str, str, str], ...] = (
        ("GET", r"/user", "get_user"),
        ("GET", r"/repos/team/digits", "repo"),
        ("GET", r"/repos/team/digits/issues/(\d+)", "issue"),
        ("GET", r"/repos/team/digits/issues/(\d+)/comments", "list_notes"),
        ("POST", r"/repos/team/digits/issues/(\d+)/comments", "create_note"),
        ("PATCH", r"/repos/team/digits/issues/\d+/comments/(\d+)", "update_note"),
        ("DELETE", r"/repos/team/digits/issues/\d+/comments/(\d+)", "delete_note"),
        ("GET", r"/repos/team/digits/collaborators", "collaborators"),
    )
    unlisted_methods: tuple[tuple[str, str], ...] = (("GET", r".*/collaborators"),)

    def note(self, note: Note, path: str) -> dict[str, Any]:
        return {"id": note.id, "body": note.body, "user": {"id": note.author, "login": f"user{note.author}"},
                "created_at": CREATED, "updated_at": note.updated}  # fmt: skip

    def collaborators(self, seen: Seen, query: dict[str, str]) -> Answer:
        if not self.administers:
            return Answer(403, {"message": "Must have admin rights"})
        return Answer(200, [{"id": person, "username": f"user{person}",
                             "permissions": {"admin": False, "push": role == "write", "pull": True}}
                            for person, role in self.roles.items()])  # fmt: skip

    def get_user(self, seen: Seen, query: dict[str, str]) -> Answer:
        return self.user or Answer(200, {"id": ME, "login": "bot"})

    def repo(self, seen: Seen, query: dict[str, str]) -> Answer:
        return Answer(200, {"id": 1, "full_name": "team/digits", "owner": {"id": 1000, "login": "team"}})

    def issue(self, seen: Seen, query: dict[str, str], number: str) -> Answer:
        state = "open" if int(number) in (pull.number for pull in self.pulls) else "closed"
        return Answer(200, {"id": 1, "number": int(number), "state": state, "title": "A title", "pull_request": {}})

    def list_notes(self, seen: Seen, query: dict[str, str], on: str) -> Answer:
        return Answer(200, [self.note(note, seen.path) for note in self.on(on)])

    def create_note(self, seen: Seen, query: dict[str, str], on: str) -> Answer:
        if self.too_long(seen.json["body"]):
            return Answer(500, {"message": "Data too long for column 'content'"})
        return Answer(201, self.note(self.add(on, seen.json["body"]), seen.path))


class DagsHub(Gogs):
    """DagsHub: Gogs' comments, if it has any, and a list of pull requests in its own shape."""

    kind = "dagshub"
    token_header = ("Authorization", f"Bearer {TOKEN}")
    finds_pulls = True
    routes = (*Gogs.routes, ("GET", r"/repos/team/digits/pulls", "list_pulls"))

    def list_pulls(self, seen: Seen, query: dict[str, str]) -> Answer:
        closed = {"id": 1, "number": 1, "state": "closed", "head_branch": "work", "head_commit": {"id": "a" * 40},
                  "base_branch": "main"}  # fmt: skip
        return Answer(200, [closed, *(
            {"id": 9000 + p.number, "number": p.number, "title": "A title", "same_origin": True, "state": "open",
             "head_branch": p.branch, "head_commit": {"id": p.head}, "base_branch": p.target} for p in self.pulls
        )])  # fmt: skip


class BitbucketCloud(Dialect):
    """Bitbucket Cloud: ten items a page, the next one at an address of its own; deleted comments stay listed."""

    kind = "bitbucket"
    spec = "bitbucket-cloud"
    prefix = "/2.0"
    limit = 32_768
    api = "given"
    unlisted = ("pagelen", "page")
    _at = r"/repositories/team/digits"
    routes = (
        ("GET", r"/user", "get_user"),
        ("GET", rf"{_at}/pullrequests/(\d+)/comments", "list_notes"),
        ("POST", rf"{_at}/pullrequests/(\d+)/comments", "create_note"),
        ("PUT", rf"{_at}/pullrequests/\d+/comments/(\d+)", "update_note"),
        ("DELETE", rf"{_at}/pullrequests/\d+/comments/(\d+)", "delete_note"),
        ("GET", rf"{_at}/commit/(\w{{40}})/comments", "list_notes"),
        ("POST", rf"{_at}/commit/(\w{{40}})/comments", "create_note"),
        ("PUT", rf"{_at}/commit/\w{{40}}/comments/(\d+)", "update_note"),
        ("DELETE", rf"{_at}/commit/\w{{40}}/comments/(\d+)", "delete_note"),
        ("POST", rf"{_at}/commit/(\w{{40}})/statuses/build", "status"),
        ("GET", rf"{_at}/commit/(\w{{40}})/pullrequests", "pulls_of"),
        ("GET", rf"{_at}/pullrequests", "list_pulls"),
        ("POST", rf"{_at}/pullrequests", "open_pull"),
        ("POST", rf"{_at}/pullrequests/(\d+)/decline", "close_pull"),
        ("GET", r"/workspaces/team/permissions/repositories/digits", "permissions"),
    )
    unlisted_methods = (
        ("POST", r".*/pullrequests(/\d+/decline)?"),
        ("GET", r"/workspaces/.*"),
        *((verb, r".*/reports/.*") for verb in ("DELETE", "PUT", "POST")),
    )

    def note(self, note: Note, path: str) -> dict[str, Any]:
        return {"type": "pullrequest_comment", "id": note.id, "deleted": False,
                "content": {"type": "rendered", "raw": note.body, "markup": "markdown", "html": ""},
                "user": {"uuid": f"{{{note.author}}}"}, "links": {"html": {"href": "https://pages/"}},
                "created_on": CREATED, "updated_on": note.updated}  # fmt: skip

    def permissions(self, seen: Seen, query: dict[str, str]) -> Answer:
        if not self.administers:
            return Answer(403, {"type": "error", "error": {"message": "Your credentials lack one or more scopes."}})
        crowd = [{"user": {"uuid": f"{{{1000 + n}}}"}, "permission": "admin"} for n in range(120)]
        people = [{"user": {"uuid": f"{{{n}}}"}, "permission": role} for n, role in self.roles.items()]
        return self._page(seen, [*crowd, *people], query)

    def _page(self, seen: Seen, items: list[dict[str, Any]], query: dict[str, str]) -> Answer:
        size = min(int(query.get("pagelen", "10")), 100, self.page)
        page = int(query.get("page", "1"))
        body: dict[str, Any] = {"values": items[(page - 1) * size : page * size], "pagelen": size}
        if page * size < len(items):
            body["next"] = f"{self.base}{seen.path}?pagelen={size}&page={page + 1}"
        return Answer(200, body)

    def text(self, sent: Any) -> str:
        return str(sent["content"]["raw"])

    def get_user(self, seen: Seen, query: dict[str, str]) -> Answer:
        return self.user or Answer(200, {"type": "user", "uuid": f"{{{ME}}}", "display_name": "bot"})

    def list_notes(self, seen: Seen, query: dict[str, str], on: str) -> Answer:
        gone = {**self.note(Note(0, on, "<!-- mlbutler:report:mlbutler head=x -->"), seen.path), "deleted": True}
        return self._page(seen, [gone, *(self.note(note, seen.path) for note in self.on(on))], query)

    def create_note(self, seen: Seen, query: dict[str, str], on: str) -> Answer:
        text = seen.json["content"]["raw"]
        if self.too_long(text):
            return Answer(400, {"type": "error", "error": {"message": "content too long"}})
        return Answer(201, self.note(self.add(on, text), seen.path))

    def status(self, seen: Seen, query: dict[str, str], sha: str) -> Answer:
        sent = seen.json
        if len(sent["key"]) > 40 or not sent["url"]:
            return Answer(400, {"type": "error", "error": {"message": "key too long, or no url"}})
        self.keep(sha, sent, "name", "url")
        return Answer(201, {"type": "build", "key": sent["key"], "state": sent["state"]})

    def _pull(self, pull: Any) -> dict[str, Any]:
        return {"id": pull.number, "state": "OPEN", "title": "A title",
                "source": {"commit": {"hash": pull.head[:12]}, "branch": {"name": pull.branch}},
                "destination": {"branch": {"name": pull.target}}}  # fmt: skip

    def pulls_of(self, seen: Seen, query: dict[str, str], sha: str) -> Answer:
        return self._page(seen, [self._pull(p) for p in self.pulls if sha == p.head or sha in p.commits], query)

    def list_pulls(self, seen: Seen, query: dict[str, str]) -> Answer:
        return self._page(seen, [self._pull(p) for p in self.pulls], query)

    def close_pull(self, seen: Seen, query: dict[str, str], number: str) -> Answer:
        return self.remove_pull(number)

    def open_pull(self, seen: Seen, query: dict[str, str]) -> Answer:
        sent = seen.json
        assert sent.keys() == {"title", "description", "source", "destination"}
        pull = self.add_pull(sent["source"]["branch"]["name"], sent["destination"]["branch"]["name"])
        assert pull is not None
        return Answer(201, self._pull(pull))


class BitbucketServer(Dialect):
    """Bitbucket Data Center below a path: activities, versions, and answers only to ``application/json``."""

    kind = "bitbucket"
    spec = "bitbucket-dc"
    below = "/bitbucket"
    prefix = "/bitbucket/rest"
    limit = 32_768
    _at = r"/api/latest/projects/team/repos/digits"
    routes = (
        ("GET", r"/api/latest/application-properties", "get_user"),
        ("GET", rf"{_at}/pull-requests/(\d+)/activities", "list_notes"),
        ("POST", rf"{_at}/pull-requests/(\d+)/comments", "create_note"),
        ("PUT", rf"{_at}/pull-requests/\d+/comments/(\d+)", "update_note"),
        ("DELETE", rf"{_at}/pull-requests/\d+/comments/(\d+)", "delete_note"),
        ("POST", rf"{_at}/commits/(\w{{40}})/builds", "status"),
        ("GET", rf"{_at}/commits/(\w{{40}})/pull-requests", "pulls_of"),
        ("GET", rf"{_at}/pull-requests", "list_pulls"),
        ("POST", rf"{_at}/pull-requests", "open_pull"),
        ("GET", rf"{_at}/pull-requests/(\d+)", "one_pull"),
        ("POST", rf"{_at}/pull-requests/(\d+)/decline", "close_pull"),
        ("GET", r"/api/latest/users", "users"),
    )
    unlisted_methods = (
        ("POST", r".*/pull-requests(/\d+/decline)?"),
        ("GET", r"/api/latest/users"),
        *((verb, r".*/reports/.*") for verb in ("DELETE", "PUT", "POST")),
    )

    def note(self, note: Note, path: str) -> dict[str, Any]:
        times = {"createdDate": 1_793_527_200_250, "updatedDate": 1_793_527_200_250 + 7_000 * note.edited}
        author = {"name": f"user {note.author}"}
        return {"id": note.id, "version": note.version + note.edited, "text": note.body, "author": author, **times}

    def users(self, seen: Seen, query: dict[str, str]) -> Answer:
        if not self.administers:
            return Answer(403, {"errors": [{"message": "You are not permitted to access this resource"}]})
        asked = {
            "permission.1": "REPO_WRITE",
            "permission.1.projectKey": "team",
            "permission.1.repositorySlug": "digits",
        }
        assert asked.items() <= query.items()
        names = [f"user {person}" for person, role in self.roles.items() if role == "write"]
        found = [name for name in (*names, "user 990", "user 50") if query["filter"] in name]
        return self._page([{"name": name, "active": True} for name in found], query)

    def _page(self, items: list[dict[str, Any]], query: dict[str, str]) -> Answer:
        start, size = int(query.get("start", "0")), min(int(query.get("limit", "25")), self.page)
        last = start + size >= len(items)
        body: dict[str, Any] = {
            "values": items[start : start + size],
            "isLastPage": last,
            "start": start,
            "limit": size,
        }
        return Answer(200, body if last else {**body, "nextPageStart": start + size})

    def get_user(self, seen: Seen, query: dict[str, str]) -> Answer:
        return self.user or Answer(200, {"version": "9.4.0"}, {"X-AUSERNAME": f"user%20{ME}"})

    def list_notes(self, seen: Seen, query: dict[str, str], on: str) -> Answer:
        notes = [
            {"id": 1, "action": "COMMENTED", "commentAction": "ADDED", "comment": self.note(n, seen.path)}
            for n in self.on(on)
        ]
        return self._page([*reversed(notes), {"id": 0, "action": "OPENED"}], query)

    def create_note(self, seen: Seen, query: dict[str, str], on: str) -> Answer:
        if self.too_long(seen.json["text"]):
            return Answer(400, {"errors": [{"context": "text", "message": "Please enter at most 32,768 characters"}]})
        return Answer(201, self.note(self.add(on, seen.json["text"]), seen.path))

    def text(self, sent: Any) -> str:
        return str(sent["text"])

    def update_note(self, seen: Seen, query: dict[str, str], id: str) -> Answer:
        return self._version_conflict(id, seen.json.get("version")) or super().update_note(seen, query, id)

    def delete_note(self, seen: Seen, query: dict[str, str], id: str) -> Answer:
        return self._version_conflict(id, int(query["version"])) or super().delete_note(seen, query, id)

    def _version_conflict(self, id: str, version: int | None) -> Answer | None:
        note = self.find(id)
        if note is None or note.author != ME or note.version == version:
            return None
        return Answer(409, {"errors": [{"message": "CommentOutOfDateException"}]})

    def missing(self) -> Answer:
        return Answer(404, {"errors": [{"message": "No such thing"}]})

    def status(self, seen: Seen, query: dict[str, str], sha: str) -> Answer:
        sent = seen.json
        self.keep(sha, sent, "name", "url")
        return Answer(204)

    def _pull(self, pull: Any) -> dict[str, Any]:
        return {"id": pull.number, "state": "OPEN", "title": "A title",
                "fromRef": {"id": f"refs/heads/{pull.branch}", "displayId": pull.branch, "latestCommit": pull.head},
                "toRef": {"displayId": pull.target}, "links": {"self": [{"href": "https://pages/"}]}}  # fmt: skip

    def pulls_of(self, seen: Seen, query: dict[str, str], sha: str) -> Answer:
        return self._page([self._pull(p) for p in self.pulls if sha == p.head or sha in p.commits], query)

    def list_pulls(self, seen: Seen, query: dict[str, str]) -> Answer:
        return self._page([self._pull(p) for p in self.pulls if f"refs/heads/{p.branch}" == query["at"]], query)

    def one_pull(self, seen: Seen, query: dict[str, str], number: str) -> Answer:
        found = next((pull for pull in self.pulls if pull.number == int(number)), None)
        return Answer(200, self._pull(found) | {"version": 5}) if found else self.missing()

    def close_pull(self, seen: Seen, query: dict[str, str], number: str) -> Answer:
        assert seen.json == {"version": 5}
        return self.remove_pull(number)

    def open_pull(self, seen: Seen, query: dict[str, str]) -> Answer:
        sent = seen.json
        assert sent.keys() == {"title", "description", "fromRef", "toRef"}
        pull = self.add_pull(*(sent[name]["id"].removeprefix("refs/heads/") for name in ("fromRef", "toRef")))
        if pull is None:
            return Answer(409, {"errors": [{"message": "Only one pull request may be open for these branches"}]})
        return Answer(201, self._pull(pull))
