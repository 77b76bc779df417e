"""Between us and the forge: proxies and certificate authorities, as the environment names them."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mlbutler.errors import ForgeError
from mlbutler.forge.detect import ForgeLocation
from mlbutler.forge.http import RequestRefused
from mlbutler.forge.interface import CommitStatus, Forge
from mlbutler.forge.opening import Opening
from mlbutler.forge.registry import open_forge
from mlbutler.variables import FORGE_TOKEN
from tests.forge.conftest import POLICY, change
from tests.forge.fake import TOKEN


class Taker(BaseHTTPRequestHandler):
    """Takes any status."""

    def do_POST(self) -> None:
        """As Gitea answers."""
        self.server.paths.append(self.path)  # type: ignore[attr-defined]
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.end_headers()
        self.wfile.write(b'{"url": "https://pages/"}')

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    made.paths = []  # type: ignore[attr-defined]
    yield made
    made.shutdown()
    made.server_close()


def start(server: ThreadingHTTPServer) -> int:
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return int(server.server_address[1])


def gitea(url: str, **environ: str) -> Forge:
    place = ForgeLocation("gitea", url, "team/digits")
    return open_forge(Opening(place=place, environ={FORGE_TOKEN: TOKEN, **environ}, root=Path(), policy=POLICY))


def test_the_proxy_of_the_environment_is_used(server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{start(server)}")
    gitea("http://forge.invalid").status(change(), "mlbutler", CommitStatus.SUCCESS, "", "")
    assert server.paths[0].startswith("http://forge.invalid/api/v1/repos/")  # type: ignore[attr-defined]
    monkeypatch.setenv("NO_PROXY", "forge.invalid")
    with pytest.raises(ForgeError, match="cannot be reached"):
        gitea("http://forge.invalid").status(change(), "mlbutler", CommitStatus.SUCCESS, "", "")


def test_a_private_authority_is_believed_where_the_environment_names_it(
    server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "ca.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-keyout", str(key), "-out", str(certificate),
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = f"https://127.0.0.1:{start(server)}"
    with pytest.raises(RequestRefused, match="no trusted authority signed") as caught:
        gitea(url).status(change(), "mlbutler", CommitStatus.SUCCESS, "", "")
    assert "SSL_CERT_FILE" in caught.value.remedy
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        gitea(url, **{name: str(certificate)}).status(change(), "mlbutler", CommitStatus.SUCCESS, "", "")
    assert len(server.paths) == 3  # type: ignore[attr-defined]
    with pytest.raises(ForgeError, match="REQUESTS_CA_BUNDLE does not name a file"):
        gitea(url, REQUESTS_CA_BUNDLE=str(tmp_path / "none.pem"))


def test_a_proxy_of_socks_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    greetings: list[bytes] = []
    proxy = socket.create_server(("127.0.0.1", 0))

    def greet() -> None:
        with suppress(OSError):
            while True:
                talk, _ = proxy.accept()
                with talk:
                    greetings.append(talk.recv(8))
                    talk.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")  # it is none after all

    threading.Thread(target=greet, daemon=True).start()
    monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{proxy.getsockname()[1]}")
    with pytest.raises(ForgeError, match="cannot be reached") as caught:
        gitea("http://forge.invalid").pull_request(change())
    assert greetings[0][0] == 5  # the protocol's version
    assert "ALL_PROXY" in caught.value.remedy
    proxy.close()


def test_a_proxy_that_is_no_address_is_an_error_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "ftp://ada:proxypassword@proxy.example.org")
    with pytest.raises(ForgeError, match="proxy") as caught:
        gitea("http://forge.invalid")
    assert "HTTP_PROXY" in caught.value.remedy
    assert "proxypassword" not in f"{caught.value.message}{caught.value.remedy}"
