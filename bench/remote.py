"""Serve an authenticated HTTP remote on loopback: nginx, as a busy object store would be; its disk is a folder."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

USER, PASSWORD = "bench", "only-on-loopback"

_CONFIGURATION = """
daemon off; master_process off; worker_rlimit_nofile 8192; pid {root}/nginx.pid; error_log {root}/error.log;
{user}
events {{ worker_connections 2048; }}
http {{
  access_log off; client_max_body_size 0; client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
  fastcgi_temp_path {root}/fastcgi; uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
  keepalive_requests 1000000; sendfile on; tcp_nopush on; tcp_nodelay on;
  server {{
    listen 127.0.0.1:{port}{secure};
    auth_basic "store"; auth_basic_user_file {root}/users;
    location / {{ root {data}; dav_methods PUT; create_full_put_path on; }}
  }}
}}
"""


class NoServer(RuntimeError):
    """The server is not installed, or does not start."""


_CERTIFICATE = (
    "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
    "-keyout", "key.pem", "-out", "certificate.pem", "-subj", "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1",
)  # fmt: skip


def free_port() -> int:
    """Return a port of loopback that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def listening(command: Sequence[str], port: int, environ: Mapping[str, str] | None = None) -> Iterator[None]:
    """Run a server during the block, which begins when it listens on the port of loopback.

    Raises:
        NoServer: it ended, or did not listen within ten seconds.
    """
    server = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if server.poll() is not None:
                raise NoServer(f"{command[0]} ended with {server.returncode}")
            time.sleep(0.02)
        else:
            raise NoServer(f"{command[0]} does not listen")
        yield
    finally:
        server.terminate()
        server.wait()


@contextmanager
def http_remote(root: Path, data: Path, *, tls: bool = False) -> Iterator[str]:
    """Serve `data`; yield the address.

    Args:
        tls: over HTTPS, with HTTP/2 offered; the certificate is ``certificate.pem`` below `root`.

    Raises:
        NoServer: there is no nginx, or no openssl for a certificate, or nginx does not start.
    """
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if program is None:
        raise NoServer("nginx is not installed: apt-get install nginx")
    root.mkdir(parents=True, exist_ok=True)
    digest = base64.b64encode(hashlib.sha1(PASSWORD.encode(), usedforsecurity=False).digest()).decode()
    (root / "users").write_text(f"{USER}:{{SHA}}{digest}\n")
    port = free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    secure = ""
    if tls:
        if shutil.which("openssl") is None:
            raise NoServer("openssl is not installed: apt-get install openssl")
        subprocess.run(_CERTIFICATE, cwd=root, check=True, capture_output=True)
        secure = f" ssl http2; ssl_certificate {root}/certificate.pem; ssl_certificate_key {root}/key.pem"
    filled = _CONFIGURATION.format(root=root, data=data, port=port, user=user, secure=secure)
    (root / "nginx.conf").write_text(filled)
    with listening([program, "-p", str(root), "-c", str(root / "nginx.conf")], port):
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
