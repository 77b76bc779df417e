"""DagsHub on one address, as its documents have it: API, Git, DVC remote and MLflow, all by one token.

Quirks: the DVC remote answers a question of presence by GET (404 for no), takes uploads by POST and lists nothing;
comments and statuses are not there; the table of experiments is made of files in commits.
"""

from __future__ import annotations

import base64
import csv
import io
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from tests.forge.fake import TOKEN, Answer, FakeForge, Fault
from tests.forge.more_dialects import DagsHub
from tests.git_server import GitServer
from tests.http_client import plain
from tests.trackers.mlflow_server import PASSWORD, USER, Tracker

GIT_USER = "ci-bot"
_HOP = ("connection", "transfer-encoding", "content-length", "content-encoding", "host", "keep-alive", "server", "date")
_METRICS = re.compile(r".*metrics?\.csv")
_PARAMS = re.compile(r"params?\.(ya?ml|json)")
_COLUMNS = ["Name", "Value", "Timestamp", "Step"]


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class PlayedDagsHub:
    """The server. `asked`: method and path of each request to the DVC remote."""

    def __init__(self, repositories: Path, objects: Path, tracker: Tracker) -> None:
        self.forge = FakeForge(DagsHub())
        self.forge.faults = [Fault(part="/comments", times=99, answer=Answer(404, {"message": "Not Found"}))]
        self.git = GitServer(repositories, GIT_USER, TOKEN)
        self.objects, self.tracker = objects, tracker
        self.asked: list[tuple[str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        for server in (self._server, self.forge):
            server.shutdown()
            server.server_close()
        self.git.close()

    def _handler(dagshub) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *args: object) -> None:
                pass

            def _any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                name, _, rest = self.path.removeprefix("/team/digits").partition("/")
                if name == ".dvc":
                    self._object(rest, body)
                elif name == ".mlflow":
                    known = self.headers.get("Authorization") == _basic(TOKEN, TOKEN)
                    access = _basic(USER, PASSWORD) if known else "none"
                    self._relay(f"{dagshub.tracker.url}/{rest}", body, {"authorization": access})
                elif name == ".git":
                    self._relay(f"{dagshub.git.url}/origin.git/{rest}", body)
                else:
                    self._relay(f"{dagshub.forge.url}{self.path}", body)

            def _object(self, path: str, body: bytes) -> None:
                dagshub.asked.append((self.command, path))
                file = dagshub.objects / path
                if self.headers.get("Authorization") != _basic(TOKEN, TOKEN):
                    return self._send(401, b"")
                if self.command == "POST":
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(body)
                    return self._send(201, b"")
                return self._send(200, file.read_bytes()) if file.is_file() else self._send(404, b"Not Found")

            def _relay(self, url: str, body: bytes, further: dict[str, str] | None = None) -> None:
                kept = {name.lower(): value for name, value in self.headers.items() if name.lower() not in _HOP[:3]}
                kept.pop("host", None)
                answer = plain().request(self.command, url, headers=kept | (further or {}), content=body)
                fields = {name: value for name, value in answer.headers.items() if name not in _HOP}
                self._send(answer.status_code, answer.content, fields)

            def _send(self, status: int, content: bytes, fields: dict[str, str] | None = None) -> None:
                self.send_response(status)
                for name, value in ((fields or {}) | {"Content-Length": str(len(content))}).items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_HEAD = do_POST = do_PATCH = do_DELETE = _any

        return Handler


@contextmanager
def play_dagshub(repositories: Path, objects: Path, tracker: Tracker) -> Iterator[PlayedDagsHub]:
    dagshub = PlayedDagsHub(repositories, objects, tracker)
    try:
        yield dagshub
    finally:
        dagshub.close()
    assert dagshub.forge.violations == []


def experiments(repository: Path, revision: str) -> dict[str, dict[str, Any]]:
    """Return the rows of the table of experiments: commit -> parameters and metrics, of commits that brought both."""

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", repository, *words], capture_output=True, text=True, check=True).stdout

    found: dict[str, dict[str, Any]] = {}
    for commit in git("rev-list", revision).split():
        names = git("diff-tree", "-r", "--root", "--no-commit-id", "--name-only", commit).splitlines()
        row: dict[str, Any] = {}
        for name in names:
            if _METRICS.fullmatch(name):
                rows = list(csv.DictReader(io.StringIO(git("show", f"{commit}:{name}"))))
                assert list(rows[0]) == _COLUMNS
                assert all(int(row["Timestamp"]) > 1e12 for row in rows)
                row |= {row["Name"]: float(row["Value"]) for row in rows}
        for name in git("ls-tree", "--name-only", commit).splitlines():
            if row and _PARAMS.fullmatch(name):
                row |= yaml.safe_load(git("show", f"{commit}:{name}"))
        if row:
            found[commit] = row
    return found
