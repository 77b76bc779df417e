from __future__ import annotations

import socket

import pytest

from tests import http_server


class Hasty(http_server.Handler):
    """Answers before it reads what is sent."""

    def do_POST(self) -> None:
        self.send_response(401)
        self.end_headers()
        self.wfile.write(b"no")


def test_an_answer_arrives_though_nobody_reads_the_request(capsys: pytest.CaptureFixture[str]) -> None:
    server = http_server.Server(Hasty)
    with socket.create_connection(("127.0.0.1", server.server_port)) as client:
        client.sendall(b"POST /path HTTP/1.0\r\n\r\n")
        for _ in range(100):
            client.sendall(b"x" * 100_000)
        with client.makefile("rb") as answer:
            assert answer.read().endswith(b"\r\n\r\nno")
    server.close()
    assert '"POST /path HTTP/1.0" 401' in capsys.readouterr().err


def test_a_connection_without_a_request_is_told() -> None:
    said: list[str] = []

    class Handler(http_server.Handler):
        def log_message(self, format: str, *args: object) -> None:
            said.append(format % args)

    server = http_server.Server(Handler)
    with socket.create_connection(("127.0.0.1", server.server_port)) as client:
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    server.close()
    assert said == ["no request came"]
