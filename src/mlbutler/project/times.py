"""How long stages took, in earlier builds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlbutler.state.hints import Hints


def read_times(root: Path, mirror: Path | None, repository: str, prefix: str) -> dict[str, float]:
    """Return stage -> seconds of its last run known here; empty when nothing is known."""
    found = Hints("times", root, mirror, repository, prefix).read()
    return {name: float(seconds) for name, seconds in found.items() if isinstance(seconds, int | float)}


def write_times(root: Path, mirror: Path | None, repository: str, prefix: str, times: Mapping[str, float]) -> None:
    """Add `times` to what is known."""
    Hints("times", root, mirror, repository, prefix).write(times)
