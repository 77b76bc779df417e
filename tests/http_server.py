"""A server for tests that resets no connection and says on standard error what came, which a failing test shows."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Answers each connection in a thread, on a port of this machine, from the moment that it is made."""

    request_queue_size = 128

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Close a connection after the client has: bytes that nobody reads would be answered with a reset."""
        assert isinstance(request, socket.socket)
        with suppress(OSError):
            request.shutdown(socket.SHUT_WR)
            while request.recv(1 << 16):
                pass
        self.close_request(request)


class Handler(BaseHTTPRequestHandler):
    """Says also what the standard one is silent about: a connection that ended without a request."""

    raw_requestline: bytes

    def handle_one_request(self) -> None:
        super().handle_one_request()
        if not self.raw_requestline:
            self.log_message("%s", "no request came")
