from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from mlbutler.console import Console
from tests.jenkins import controller as program
from tests.ports import free_port


@pytest.fixture
def console() -> Console:
    return Console()


@pytest.fixture
def port() -> int:
    """A port that nobody listens on."""
    return free_port()


@pytest.fixture
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in the place of Java that answers as a controller and an agent do."""
    path = tmp_path / "bin" / "java"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\nexec '{sys.executable}' -I -S '{program.__file__}' \"$@\"\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")
    return path
