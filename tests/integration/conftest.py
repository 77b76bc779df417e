"""The world is made once; each test works in a copy of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.integration.world import World, make


@pytest.fixture(scope="session")
def master_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make(tmp_path_factory.mktemp("master-world"))


@pytest.fixture
def world(master_world: World, tmp_path: Path) -> World:
    target = tmp_path / "world"
    shutil.copytree(master_world.directory, target, symlinks=True)
    copy = World(target)
    copy.git(copy.author, "remote", "set-url", "origin", str(copy.bare))
    copy.dvc("remote", "modify", "-q", "origin", "url", str(copy.remote))
    copy.git(copy.author, "commit", "-qam", "where the remote is")
    copy.git(copy.author, "push", "-q", "origin", "main")
    return copy
