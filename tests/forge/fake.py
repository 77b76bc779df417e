"""A forge's API over HTTP for tests: its quirks, and whatever can go wrong, on request."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from tests.forge.description import load

TOKEN = "planted-token-0123456789abcdef"
ME, SOMEBODY, WRITER = 7, 99, 5
CREATED, CHANGED = "2026-11-01T10:00:00.250Z", "2026-11-01T10:00:07.250Z"
HEAD, OTHER_HEAD = "a" * 40, "b" * 40


@dataclass
class Note:
    """A comment: on what, its text, who wrote it, and whether its text was changed since."""

    id: int
    on: str
    body: str
    author: int = ME
    version: int = 0
    edited: bool = False

    @property
    def updated(self) -> str:
        """When its text was changed, else when it was written."""
        return CHANGED if self.edited else CREATED


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body's JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What is answered. `body` None: no content."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Fault:
    """What goes wrong with the next `times` requests of `method` whose path holds `part`.

    `answer`: instead of doing it. `slow`: seconds before answering. `done`: do it first. `cut`: then cut the line.
    `after`: do it, and say this.
    """

    method: str = ""
    part: str = ""
    times: int = 1
    answer: Answer | None = None
    slow: float = 0.0
    done: bool = True
    cut: bool = False
    after: Answer | None = None


@dataclass
class Pull:
    """An open pull request."""

    number: int
    head: str = HEAD
    branch: str = "work"
    target: str = "main"
    commits: tuple[str, ...] = ()


Route = Callable[..., Answer]


class Dialect(ABC):
    """One forge's API. Subclasses have `routes`: (method, pattern of the path, name of the method).

    Attributes:
        kind: as in the registry. spec: the description's name. prefix: where the API is below the host; `below` is
            what the pages' address has too. undescribed: paths that the description leaves out, unlisted: parameters,
            unlisted_methods: (method, pattern of the path).
    """

    kind = ""
    spec = ""
    prefix = ""
    below = ""
    described_from = ""
    repository = "team/digits"
    token_header = ("Authorization", f"Bearer {TOKEN}")
    routes: tuple[tuple[str, str, str], ...] = ()
    finds_pulls = True
    undescribed: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()
    unlisted_methods: tuple[tuple[str, str], ...] = ()
    limit: int | None = None
    unit = "characters"
    api = ""

    def __init__(self) -> None:
        self.notes: list[Note] = []
        self.pulls: list[Pull] = [Pull(17)]
        self.statuses: list[dict[str, Any]] = []
        self.checks: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.page = 100
        self.next_id = 1
        self.user: Answer | None = None
        self.roles: dict[int, str] = {WRITER: "write", SOMEBODY: "read"}
        self.administers = True
        self.base = ""

    def add(self, on: str, body: str, author: int = ME) -> Note:
        """A comment, as if somebody had written it."""
        note = Note(self.next_id, on, body, author)
        self.next_id += 1
        self.notes.append(note)
        return note

    def on(self, on: str) -> list[Note]:
        """Comments on something: ``17`` or a commit."""
        return [note for note in self.notes if note.on == on]

    def find(self, id: str) -> Note | None:
        """A comment by its number."""
        return next((note for note in self.notes if note.id == int(id)), None)

    def too_long(self, body: str) -> bool:
        """Is it beyond the limit?"""
        size = len(body.encode()) if self.unit == "bytes" else len(body)
        return self.limit is not None and size > self.limit

    def example(self, method: str, path: str, status: str = "200") -> dict[str, Any]:
        """An answer with all required fields; empty without the vendor's description."""
        description = load(self.spec)
        made = description.example(method, path, status) if description else {}
        return made if isinstance(made, dict) else {}

    def answer(self, seen: Seen) -> Answer:
        """Do what is asked."""
        for method, pattern, name in self.routes:
            match = re.fullmatch(pattern, seen.path)
            if match and method == seen.method:
                handler: Route = getattr(self, name)
                query = {key: values[-1] for key, values in parse_qs(seen.query).items()}
                return handler(seen, query, *match.groups())
        return self.missing()

    @abstractmethod
    def note(self, note: Note, path: str) -> dict[str, Any]:
        """A comment in the forge's own shape."""

    def text(self, sent: Any) -> str:
        """A comment's text in what was sent."""
        return str(sent["body"])

    def update_note(self, seen: Seen, query: dict[str, str], id: str) -> Answer:
        """A comment's text is replaced, by the user who wrote it."""
        note = self.find(id)
        if note is None:
            return self.missing()
        if note.author != ME:
            return Answer(403, {"message": "403 Forbidden"})
        note.body, note.version = self.text(seen.json), note.version + 1
        return Answer(200, self.note(note, seen.path))

    def delete_note(self, seen: Seen, query: dict[str, str], id: str) -> Answer:
        """A comment is removed."""
        note = self.find(id)
        if note is None:
            return self.missing()
        self.notes.remove(note)
        return Answer(204)

    def keep(self, sha: str, sent: dict[str, Any], name: str = "context", url: str = "target_url") -> None:
        """A status was set; `name` and `url` are its fields."""
        kept = {"sha": sha, "state": sent["state"], "name": sent[name], "said": sent["description"]}
        self.statuses.append(kept | {"url": sent.get(url, "")})

    def add_pull(self, branch: str, target: str) -> Pull | None:
        """A pull request is opened; None when there is one already."""
        if any((pull.branch, pull.target) == (branch, target) for pull in self.pulls):
            return None
        self.pulls.append(Pull(max((pull.number for pull in self.pulls), default=0) + 1, OTHER_HEAD, branch, target))
        return self.pulls[-1]

    def remove_pull(self, number: str) -> Answer:
        """A pull request is closed."""
        there = [pull for pull in self.pulls if pull.number == int(number)]
        for pull in there:
            self.pulls.remove(pull)
        return Answer(200, {}) if there else Answer(404, {"message": "Not Found"})

    def role(self, person: int | str) -> Answer | str:
        """What somebody may do; a refusal where only administrators are answered and the token is none of theirs."""
        if not self.administers:
            return Answer(403, {"message": "Only admins can query all permissions"})
        return self.roles.get(int(person), "none")

    def missing(self) -> Answer:
        """What it says when there is no such thing."""
        return Answer(404, {"message": "Not Found"})


def page_of(
    items: list[Any], query: dict[str, str], most: int, size_name: str = "per_page"
) -> tuple[list[Any], bool, int]:
    """(the page asked for, are there more, its number)."""
    size = min(int(query.get(size_name, "30")), most)
    page = int(query.get("page", "1"))
    return items[(page - 1) * size : page * size], page * size < len(items), page


def parse_upload(seen: Seen) -> tuple[str, str, bytes]:
    """(field, file name, content) of a multipart upload."""
    head = f"Content-Type: {seen.headers['content-type']}\r\n\r\n".encode()
    part = list(BytesParser().parsebytes(head + seen.body).walk())[1]
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return str(part.get_param("name", header="content-disposition")), str(part.get_filename()), content


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: FakeForge
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or the client waits 40 ms for the body behind the headers

    def handle_one(self) -> None:
        """Judge it, do it, and answer or fail as asked."""
        server = self.server
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {key.lower(): value for key, value in self.headers.items()}
        seen = Seen(self.command, path, query, headers, body)
        with server.lock:
            server.seen.append(seen)
            fault = server.fault(seen)
        if fault is not None and fault.slow and not fault.done:
            time.sleep(fault.slow)
        if fault is not None and fault.answer is not None:
            return self._send(fault.answer)
        if fault is None or fault.done:
            if seen.method == "POST":
                server.meet()
            with server.lock:
                answer = server.act(seen)
        if fault is not None and fault.slow and fault.done:
            time.sleep(fault.slow)
        if fault is not None and (fault.cut or not (fault.done or fault.after)):
            self.close_connection = True
            with suppress(OSError):  # it may have gone already
                self.connection.shutdown(socket.SHUT_RDWR)
            return None
        return self._send(fault.after if fault is not None and fault.after else answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one

    def _send(self, answer: Answer) -> None:
        body = answer.body
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            self.send_response(answer.status)
            headers = {"Content-Type": "application/json", **answer.headers, "Content-Length": str(len(content))}
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(content)
        except OSError:  # nobody waits any more
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


class FakeForge(ThreadingHTTPServer):
    """The server of one dialect; `violations` holds what the vendor's description forbids."""

    daemon_threads = True

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.dialect = dialect
        self.lock = threading.Lock()
        self.seen: list[Seen] = []
        self.faults: list[Fault] = []
        self.violations: list[str] = []
        self.together: threading.Barrier | None = None
        self.url = f"http://127.0.0.1:{self.server_address[1]}{dialect.below}"
        dialect.base = f"http://127.0.0.1:{self.server_address[1]}{dialect.prefix}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def meet(self) -> None:
        """Hold a creation until another one comes, where the test asks for it."""
        together = self.together
        if together is not None:
            with suppress(threading.BrokenBarrierError):
                together.wait(600)  # against a hang
            self.together = None

    def fault(self, seen: Seen) -> Fault | None:
        """What is to go wrong with this request."""
        for fault in self.faults:
            if fault.times > 0 and fault.method in ("", seen.method) and fault.part in seen.path:
                fault.times -= 1
                return fault
        return None

    def act(self, seen: Seen) -> Answer:
        """The dialect's answer, after the description and the token were looked at."""
        name, value = self.dialect.token_header
        if seen.headers.get(name.lower()) != value:
            return Answer(401, {"message": "Bad credentials"})
        inner = Seen(seen.method, seen.path.removeprefix(self.dialect.prefix), seen.query, seen.headers, seen.body)
        description = load(self.dialect.spec) if self.dialect.spec else None
        unlisted = any(m == seen.method and re.fullmatch(p, inner.path) for m, p in self.dialect.unlisted_methods)
        if description is not None and not unlisted and inner.path not in self.dialect.undescribed:
            described = self.dialect.described_from + inner.path
            self.violations += description.faults(
                seen.method,
                described,
                self._described_query(seen.query),
                seen.headers.get("content-type", ""),
                seen.body,
            )
        return self.dialect.answer(inner)

    def _described_query(self, query: str) -> str:
        return "&".join(part for part in query.split("&") if part.partition("=")[0] not in self.dialect.unlisted)

    def requests_of(self, method: str) -> list[Seen]:
        """Requests of one method."""
        return [seen for seen in self.seen if seen.method == method]


@contextmanager
def serving(dialect: Dialect) -> Iterator[FakeForge]:
    """Serve a dialect; at the end no request may have been one that the vendor's description forbids."""
    server = FakeForge(dialect)
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
    assert server.violations == []
