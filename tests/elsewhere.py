"""A server that nothing is meant for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests import http_server


@dataclass
class Elsewhere:
    """It asks everybody for a password and keeps what came: method, path and headers of each request."""

    came: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def was_sent_no_password(self) -> bool:
        return not any("authorization" in request.lower() for request in self.came)


@contextmanager
def listening() -> Iterator[Elsewhere]:
    """Have it listen on this machine."""
    found = Elsewhere()

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found.came.append(f"{self.command} {self.path} {dict(self.headers)}")
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="elsewhere"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = do_CONNECT = do_PATCH = do_PUT = do_PROPFIND = _any

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = http_server.Server(Handler)
    found.port = server.server_port
    yield found
    server.close()
