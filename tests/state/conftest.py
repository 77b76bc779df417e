from __future__ import annotations

from pathlib import Path

import pytest

from mlbutler.store.local import LocalStore


@pytest.fixture
def cache(tmp_path: Path) -> LocalStore:
    return LocalStore("cache", tmp_path / "cache")


@pytest.fixture
def mirror(tmp_path: Path) -> LocalStore:
    return LocalStore("mirror", tmp_path / "mirror")
