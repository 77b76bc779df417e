"""Objects, stores and a faulty HTTP remote for tests."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mlbutler.store import linking
from mlbutler.store.interface import ObjectId

_FLOOD = 256 << 20
USER, PASSWORD = "ada", "s3cret-pässword"


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def add_object(root: Path, content: bytes, *, mode: int = 0o444, directory: bool = False) -> ObjectId:
    """Write an object as DVC does."""
    oid = ObjectId(md5(content) + (".dir" if directory else ""))
    path = root / oid.key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    return oid


def add_directory(root: Path, files: Mapping[str, bytes]) -> ObjectId:
    """Write a directory's files and its manifest."""
    for content in files.values():
        add_object(root, content)
    return add_object(root, manifest(files), directory=True)


def manifest(files: Mapping[str, bytes]) -> bytes:
    entries = [{"md5": md5(content), "relpath": name} for name, content in sorted(files.items())]
    return json.dumps(entries).encode()


def damage(root: Path, oid: ObjectId, content: bytes, *, mode: int = 0o444) -> None:
    """Put other bytes in the place of an object."""
    path = root / oid.key
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def unsound(root: Path) -> list[str]:
    """Objects below a store whose content is not what their name says, and names that are no objects."""
    wrong = []
    for path in (root / "files" / "md5").rglob("*"):
        if path.is_file() and not path.name.endswith(".tmp"):
            name = path.parent.name + path.name
            if md5(path.read_bytes()) != name.removesuffix(".dir"):
                wrong.append(name)
    return wrong


def leftovers(root: Path) -> list[Path]:
    """Unfinished files."""
    return list(root.rglob("*.tmp"))


def second_processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """A fixture's body: the second processes that make links; each has ended when the test has."""
    made: list[subprocess.Popen[bytes]] = []

    class Watched(linking.LinkWorker):
        def __init__(self, jobs: linking.Jobs) -> None:
            super().__init__(jobs)
            made.append(self._process)

    monkeypatch.setattr(linking, "LinkWorker", Watched)
    yield made
    assert all(process.poll() is not None for process in made)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # with the standard five, connections made at once wait for a second


class Remote:
    """An HTTP server that keeps objects in a directory and misbehaves on demand.

    `faults` maps a path (or '' for all) to a list of faults, taken one for each request and the last one
    forever: a status number, ``ok``, ``cut``, ``cut-unknown``, ``login``, ``stall``, ``reset``, ``flood``, ``large``,
    ``trickle``, ``wrong``, ``yes`` and ``nothing`` (200 whatever was asked for, with some body or with none),
    ``no length``, or a URL to redirect to.
    `methods` limits faults to some HTTP methods.
    """

    def __init__(self, root: Path, *, auth: str = "", header: tuple[str, str] = ("", ""), upload: str = "POST") -> None:
        self.root, self.auth, self.header, self.upload = root, auth, header, upload
        self.faults: dict[str, list[Any]] = {}
        self.methods: tuple[str, ...] = ("HEAD", "GET", "POST", "PUT")
        self.headers: dict[str, str] = {}
        self.requests: list[tuple[str, str]] = []
        self.received: list[Any] = []
        self.delay = 0.0
        self.sent = 0
        self._lock = threading.Lock()
        self.server = _Server(("127.0.0.1", 0), self._handler())
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/repo.dvc"

    def counts(self) -> Counter[str]:
        return Counter(method for method, _ in self.requests)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def fault(self, path: str) -> Any:
        with self._lock:
            queue = self.faults.get(path, self.faults.get(""))
            if not queue:
                return None
            return queue.pop(0) if len(queue) > 1 else queue[0]

    def _handler(remote) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *args: Any) -> None:
                pass

            def _reply(self, status: int, body: bytes = b"", kind: str = "application/octet-stream") -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Type", kind)
                for name, value in remote.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def _allowed(self) -> bool:
                if remote.auth == "basic":
                    expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
                    return self.headers.get("Authorization") == f"Basic {expected}"
                if remote.auth == "custom":
                    return self.headers.get(remote.header[0]) == remote.header[1]
                return True

            def _any(self) -> None:
                path = self.path.removeprefix("/repo.dvc/")
                remote.requests.append((self.command, path))
                remote.received.append(dict(self.headers))
                time.sleep(remote.delay)
                body = b""
                if self.command in ("POST", "PUT"):
                    body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if not self._allowed():
                    return self._reply(401, b"who are you?", "text/plain")
                fault = remote.fault(path) if self.command in remote.methods else None
                if fault is not None and fault != "ok" and self._misbehave(fault, path):
                    return None
                file = remote.root / path
                if self.command in ("POST", "PUT"):
                    if self.command != remote.upload:
                        return self._reply(405)
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.unlink(missing_ok=True)
                    file.write_bytes(body)
                    return self._reply(201)
                if not file.is_file():
                    return self._reply(404, b"<html>not here</html>", "text/html")
                return self._reply(200, file.read_bytes())

            def _misbehave(self, fault: Any, path: str) -> bool:
                if isinstance(fault, int):
                    self._reply(fault, b"a fault", "text/plain")
                elif fault == "login":
                    self._reply(200, b"<html><form>Please log in</form></html>", "text/html; charset=utf-8")
                elif fault in ("yes", "nothing"):
                    self._reply(200, b"yes" if fault == "yes" else b"")
                elif fault == "no length":
                    self.send_response(200)
                    self.send_header("Connection", "close")
                    self.end_headers()
                    self.close_connection = True
                elif fault == "wrong":
                    self._reply(200, bytes(len((remote.root / path).read_bytes())))
                elif fault in ("cut", "cut-unknown"):
                    content = (remote.root / path).read_bytes()
                    self.send_response(200)
                    if fault == "cut":
                        self.send_header("Content-Length", str(len(content)))
                    self.send_header("Connection", "close")
                    self.end_headers()
                    if self.command != "HEAD":
                        self.wfile.write(content[: len(content) // 2])
                    self.close_connection = True
                elif fault == "stall":
                    self.send_response(200)
                    self.send_header("Content-Length", "1000000")
                    self.end_headers()
                    self.wfile.write(b"x" * 100_000)  # more than is kept in memory: there is a file
                    self.wfile.flush()
                    time.sleep(3600)
                elif fault in ("flood", "large"):  # without end, or of an announced length that is far too much
                    self.send_response(200)
                    if fault == "large":
                        self.send_header("Content-Length", str(5 << 30))
                    self.send_header("Connection", "close")
                    self.end_headers()
                    self.close_connection = True
                    if self.command != "HEAD":
                        with contextlib.suppress(OSError):
                            for _ in range(_FLOOD >> 16):
                                self.wfile.write(bytes(1 << 16))
                                remote.sent += 1 << 16
                elif fault == "trickle":
                    self.send_response(200)
                    self.send_header("Content-Length", "496")
                    self.end_headers()
                    self.close_connection = True
                    if self.command != "HEAD":
                        with contextlib.suppress(OSError):
                            for _ in range(496):
                                self.wfile.write(b"x")
                                self.wfile.flush()
                                time.sleep(0.1)
                elif fault == "reset":
                    self.connection.close()
                    self.close_connection = True
                else:
                    self.send_response(302)
                    self.send_header("Location", str(fault))
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                return True

            do_GET = do_HEAD = do_POST = do_PUT = _any

        return Handler
