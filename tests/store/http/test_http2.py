"""A real server that offers HTTP/2."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlbutler.store.http.store import HttpStore
from mlbutler.store.interface import ObjectId, Presence
from mlbutler.store.retry import RetryPolicy
from tests.ports import free_port
from tests.store.world import add_object

_NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
_KEY = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-keyout", "key", "-out", "certificate", "-days", "2", "-subj", "/CN=test",
        "-addext", "subjectAltName=IP:127.0.0.1")  # fmt: skip
_CONFIGURATION = """
daemon off; master_process off; pid {root}/pid; error_log {root}/errors;
events {{ }}
http {{
  log_format kind "$server_protocol $request_method $connection"; access_log {root}/log kind;
  client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi; keepalive_requests 50;
  server {{
    listen 127.0.0.1:{port} ssl http2; ssl_certificate {root}/certificate; ssl_certificate_key {root}/key;
    location / {{ root {root}/data; }}
  }}
}}
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """An nginx that ends a connection after 50 requests, while more are under way on it."""
    if _NGINX is None or shutil.which("openssl") is None:
        pytest.skip("nginx or openssl is not installed")
    subprocess.run(_KEY, cwd=tmp_path, check=True, capture_output=True)
    tmp_path.chmod(0o755)
    port = free_port()
    (tmp_path / "conf").write_text(_CONFIGURATION.format(root=tmp_path, port=port))
    process = subprocess.Popen([_NGINX, "-p", tmp_path, "-c", tmp_path / "conf"], stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield f"https://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def read_log(folder: Path) -> list[list[str]]:
    """Return the words of each line that nginx has noted."""
    return [line.split() for line in (folder / "log").read_text().splitlines()]


def test_presence_is_asked_over_one_connection_and_contents_come_over_several(server: str, tmp_path: Path) -> None:
    objects = [add_object(tmp_path / "data", f"content {number}".encode()) for number in range(200)]
    for folder in (tmp_path / "data").rglob("*"):
        folder.chmod(0o755)
    absent = ObjectId("0" * 32)
    config = {"ssl_verify": str(tmp_path / "certificate")}
    store = HttpStore("origin", server, config, environ={}, policy=RetryPolicy(attempts=3, pause=0.01))
    answers = store.ask([*objects, absent])
    assert {answers[oid].presence for oid in objects} == {Presence.PRESENT}
    assert answers[absent].presence is Presence.MISSING
    store.get(objects[0], tmp_path / "got", lambda _: None)
    assert (tmp_path / "got").read_bytes() == b"content 0"
    until = time.monotonic() + 300
    while (
        len(asked := read_log(tmp_path)) < 203 and time.monotonic() < until
    ):  # nginx notes what it has answered already
        time.sleep(0.02)
    heads = [connection for version, method, connection in asked if (version, method) == ("HTTP/2.0", "HEAD")]
    assert len(heads) == 202  # one of them is for an object that nobody can have made
    assert len(set(heads)) < 12  # each ends after 50 requests; one for each request at once would be more
    assert ("HTTP/1.1", "GET") in {(version, method) for version, method, _ in asked}
