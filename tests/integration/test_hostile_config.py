"""Pull requests that try to have the agent's credentials sent elsewhere, or its commands run."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.integration.world import World, make, params

PASSWORD = "planted-remote-passw0rd"
KEY, SECRET = "AKIAPLANTED000000000", "planted/secret/access/key/0123456789"
CREDENTIALS = {
    "MLBUTLER_REMOTE_USER": "team",
    "MLBUTLER_REMOTE_PASSWORD": PASSWORD,
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_DEFAULT_REGION": "us-east-1",
}


class Evil(BaseHTTPRequestHandler):
    """Answers everything with 404 and keeps what came."""

    def _answer(self) -> None:
        self.server.came.append(f"{self.command} {self.path} {dict(self.headers)}")  # type: ignore[attr-defined]
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_PUT = do_POST = _answer

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def evil() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Evil)
    server.came = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make(tmp_path)


def came(server: ThreadingHTTPServer) -> list[str]:
    found: list[str] = server.came  # type: ignore[attr-defined]
    return found


def config(world: World, *lines: str) -> str:
    text = (world.author / ".dvc" / "config").read_text().partition("['remote")[0]
    return text + "['remote \"origin\"']\n" + "".join(f"    {line}\n" for line in lines)


def run(world: World, text: str, more: dict[str, str], **environ: str) -> Any:
    world.branch("b", {".dvc/config": text, "params.yaml": params(0.02), **more})
    root = world.clone("origin/b")
    return world.run(root, world.jenkins("b") | CREDENTIALS | environ)


def test_a_remote_that_moved_to_another_host_gets_nothing(world: World, evil: ThreadingHTTPServer) -> None:
    address = f"http://127.0.0.1:{evil.server_port}/x"
    done = run(world, config(world, f"url = {address}"), {})
    assert came(evil) == []
    assert done.code == 2
    assert "The DVC remote 'origin' is not used" in done.err
    assert "Merge that change of .dvc/config by itself" in done.err


def test_the_agent_can_agree_to_the_new_host(world: World, evil: ThreadingHTTPServer) -> None:
    address = f"http://127.0.0.1:{evil.server_port}/x"
    run(world, config(world, f"url = {address}"), {}, MLBUTLER_REMOTE_HOSTS="127.0.0.1")
    assert any("Basic" in request for request in came(evil))


@pytest.mark.parametrize("fork", [False, True])
def test_a_file_of_settings_runs_no_command(
    world: World, evil: ThreadingHTTPServer, fork: bool, tmp_path: Path
) -> None:
    marker = tmp_path / "ran"
    script = f"#!/bin/sh\nenv > '{marker}'\n"
    lines = (
        "url = s3://bucket/x",
        f"endpointurl = http://127.0.0.1:{evil.server_port}",
        "configpath = ../evil.cfg",
        "credentialpath = ../evil.cfg",
        "profile = evil",
    )
    command = "credential_process = sh ./evil.sh\n"
    files = {"evil.cfg": f"[profile evil]\n{command}[evil]\n{command}", "evil.sh": script}
    done = run(world, config(world, *lines), files, **({"CHANGE_FORK": "mallory"} if fork else {}))
    assert done.code != 0
    assert not marker.exists()
    assert not any(secret in request for request in came(evil) for secret in (KEY, SECRET, PASSWORD))


@pytest.mark.parametrize("kind", ["http", "s3"])
def test_a_fork_brings_no_credential_to_any_host(world: World, evil: ThreadingHTTPServer, kind: str) -> None:
    address = f"http://127.0.0.1:{evil.server_port}"
    lines = [f"url = {address}/x"] if kind == "http" else ["url = s3://bucket/x", f"endpointurl = {address}"]
    done = run(world, config(world, *lines), {}, CHANGE_FORK="mallory")
    assert done.code != 0
    assert not any("authorization" in request.lower() for request in came(evil))
    assert not any(secret in request for request in came(evil) for secret in (KEY, SECRET, PASSWORD))
    if kind == "http":
        assert came(evil)


def test_settings_in_the_home_send_no_remote_elsewhere(world: World, evil: ThreadingHTTPServer, tmp_path: Path) -> None:
    """What an earlier test or stage wrote into the home of the agent's user is read without credentials."""
    address, home = f"http://127.0.0.1:{evil.server_port}", tmp_path / "home"
    url = "url = s3://bucket/x"
    world.branch("main", {".dvc/config": config(world, url)})
    files = {
        ".aws/config": f"[default]\nendpoint_url = {address}\n",
        ".aws/credentials": "[default]\ncredential_process = sh -c 'env >> ran'\n",
        ".config/fsspec/conf.json": json.dumps({"s3": {"endpoint_url": address, "cache_regions": False}}),
    }
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    world.branch("b", {"params.yaml": params(0.02)})
    root = world.clone("origin/b")
    # Nobody answers at the agreed place.
    proxy = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
    environ = CREDENTIALS | {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "AWS_MAX_ATTEMPTS": "1"}
    world.run(root, world.jenkins("b") | environ | proxy, "pushed", verb="check")
    assert came(evil) == []
    assert not (root / "ran").exists()
