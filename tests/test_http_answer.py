"""Answers of forges and controllers end, whatever the server does."""

from __future__ import annotations

import contextlib
import gzip
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest

from mlbutler import http_answer
from mlbutler.errors import ForgeError, OutsideError
from mlbutler.forge.http import Api, ApiOptions, ApiRetryPolicy
from mlbutler.http_answer import send_request
from mlbutler.jenkins.client import JenkinsClient


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        kind = self.path.removeprefix("/computer").removeprefix("/").partition("/")[0].partition("?")[0]
        self.send_response(200)
        if kind == "packed":
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(OSError):
            if kind == "packed":
                self.wfile.write(gzip.compress(bytes(8 << 20)))
            elif kind == "good":
                self.wfile.write(b'{"a": 1}')
            else:
                for _ in range(1000):
                    self.wfile.write(b" " * (1 << 16 if kind == "flood" else 1))
                    self.wfile.flush()
                    time.sleep(0 if kind == "flood" else 0.02)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()


@pytest.fixture
def small_limits(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow little: of bytes, and of time where the answer has few bytes."""
    monkeypatch.setattr(http_answer, "LARGEST", 1 << 20)
    monkeypatch.setattr(http_answer, "LONGEST", 0.2 if kind == "trickle" else 600.0)


@pytest.mark.parametrize(("kind", "error"), [
    ("flood", httpx.DecodingError), ("packed", httpx.DecodingError), ("trickle", httpx.ReadTimeout),
])  # fmt: skip
def test_an_answer_without_end_is_cut_off(small_limits: None, url: str, kind: str, error: type[Exception]) -> None:
    with httpx.Client(timeout=600) as client, pytest.raises(error):
        send_request(client, client.build_request("GET", url + kind))


def test_an_answer_that_ends_is_whole(url: str) -> None:
    with httpx.Client(timeout=600) as client:
        answer = send_request(client, client.build_request("GET", url + "packed"))
        assert (answer.status_code, len(answer.content)) == (200, 8 << 20)
        assert send_request(client, client.build_request("GET", url + "good")).json() == {"a": 1}


@pytest.mark.parametrize("kind", ["flood", "packed", "trickle"])
@pytest.mark.parametrize("asked", ["forge", "jenkins"])
def test_a_forge_or_controller_that_does_not_end_is_an_error_with_a_remedy(
    small_limits: None, url: str, kind: str, asked: str
) -> None:
    def forge() -> object:
        policy = ApiRetryPolicy(attempts=1)
        return Api(
            "Gitea", url, headers={}, secret={}, remedy="Set it.", options=ApiOptions({}, policy)
        ).get(f"/{kind}")  # fmt: skip

    def controller() -> object:
        with JenkinsClient(url) as client:
            return client.is_online(kind)

    ask: Callable[[], object] = forge if asked == "forge" else controller
    with pytest.raises(OutsideError) as error:
        ask()
    assert error.value.exit_code == 3
    assert error.value.remedy
    assert isinstance(error.value, ForgeError) == (asked == "forge")
