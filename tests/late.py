"""Time that is up as soon as a file is there: a limit is reached at that moment, however busy the machine is."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlbutler import process

LIMIT = 3600.0


def time_is_up_with(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whatever has `LIMIT` seconds have none left once `path` is there."""
    passed = 0.0

    def monotonic() -> float:
        nonlocal passed
        passed = passed or (LIMIT if path.exists() else 0.0)
        return time.monotonic() + passed

    monkeypatch.setattr(process, "time", SimpleNamespace(monotonic=monotonic))
