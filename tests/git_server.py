"""A Git server over HTTP with a password: `git http-backend` behind Python's HTTP server."""

from __future__ import annotations

import base64
import os
import subprocess
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

from tests import http_server


class GitServer:
    """Serves the bare repositories below `root`; counts refusals."""

    def __init__(self, root: Path, user: str, password: str) -> None:
        self.root, self.refused = root, 0
        self._expected = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self._server = http_server.Server(self._handler())

    @property
    def url(self) -> str:
        return self._server.url

    def environ(self, password: str) -> dict[str, str]:
        """What a CI server says of ``origin.git`` here, and a password for it."""
        return {"GIT_URL": f"{self.url}/origin.git", "MLBUTLER_GIT_USERNAME": "ci-bot", "MLBUTLER_GIT_TOKEN": password}

    def close(self) -> None:
        self._server.close()

    def _handler(server) -> type[BaseHTTPRequestHandler]:
        class Handler(http_server.Handler):
            protocol_version = "HTTP/1.0"

            def _any(self) -> None:
                body = self._body()
                if self.headers.get("Authorization") != server._expected:
                    server.refused += 1
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="git"')
                    self.end_headers()
                    return
                parts = urlsplit(self.path)
                environ = {
                    "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(server.root), "GIT_HTTP_EXPORT_ALL": "1",
                    "PATH_INFO": parts.path, "QUERY_STRING": parts.query, "REQUEST_METHOD": self.command,
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""), "REMOTE_USER": "ci",
                    "CONTENT_LENGTH": str(len(body)), "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                }  # fmt: skip
                command = ["git", "http-backend"]
                done = subprocess.run(command, input=body, env=environ, capture_output=True, check=False)
                head, _, content = done.stdout.partition(b"\r\n\r\n")
                fields = [line.split(": ", 1) for line in head.decode().splitlines()]
                status = next((int(value.split()[0]) for name, value in fields if name == "Status"), 200)
                self.send_response(status)
                for name, value in fields:
                    if name != "Status":
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") == "chunked":
                    blocks = []
                    while size := int(self.rfile.readline(), 16):
                        blocks.append(self.rfile.read(size))
                        self.rfile.readline()
                    self.rfile.readline()
                    return b"".join(blocks)
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))

            do_GET = do_POST = _any

        return Handler
