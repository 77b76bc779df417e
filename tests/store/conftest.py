from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlbutler.store.http.store import HttpStore
from mlbutler.store.local import LocalStore
from mlbutler.store.retry import RetryPolicy
from tests.store.world import Remote


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


@pytest.fixture
def cache(tmp_path: Path) -> LocalStore:
    return LocalStore("cache", tmp_path / "cache")


@pytest.fixture
def mirror(tmp_path: Path) -> LocalStore:
    return LocalStore("mirror", tmp_path / "mirror", hardlink=True)
