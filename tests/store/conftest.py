from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlbutler.store.http.store import HttpStore
from mlbutler.store.local import LocalStore
from mlbutler.store.retry import RetryPolicy
from tests.http_client import plain
from tests.store.world import Remote

_NUMBERS = itertools.count()


@pytest.fixture
def make_remote(tmp_path: Path) -> Iterator[Callable[..., Remote]]:
    made: list[Remote] = []

    def make(**options: Any) -> Remote:
        root = tmp_path / f"remote{len(made)}"
        root.mkdir()
        made.append(Remote(root, **options))
        return made[-1]

    yield make
    for remote in made:
        remote.close()


@pytest.fixture
def remote(make_remote: Callable[..., Remote]) -> Remote:
    return make_remote()


@pytest.fixture
def connect() -> Callable[..., HttpStore]:
    """A store on a test remote that does not wait long between attempts."""

    def make(remote: Remote, *, attempts: int = 3, **config: Any) -> HttpStore:
        policy = RetryPolicy(attempts=attempts, pause=0.01)
        return HttpStore("origin", remote.url, config, environ={}, policy=policy)

    return make


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server: str) -> str:
    name = f"bucket-{next(_NUMBERS)}"
    assert plain().put(f"{s3_server}/{name}").status_code == 200
    return name


@pytest.fixture
def cache(tmp_path: Path) -> LocalStore:
    return LocalStore("cache", tmp_path / "cache")


@pytest.fixture
def mirror(tmp_path: Path) -> LocalStore:
    return LocalStore("mirror", tmp_path / "mirror", hardlink=True)
