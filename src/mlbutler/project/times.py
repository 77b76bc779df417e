"""How long stages took: kept in the mirror for every build on the agent, and in the project's own folder."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_OWN = Path(".mlbutler", "times.json")


def read_times(root: Path, mirror: Path | None, repository: str, prefix: str) -> dict[str, float]:
    """Stage -> seconds of its last run known here; empty when nothing is known."""
    times: dict[str, float] = {}
    for path in _places(root, mirror, repository, prefix):
        with suppress(OSError, ValueError, AttributeError):
            found = json.loads(path.read_text(encoding="utf-8"))
            times |= {str(name): float(seconds) for name, seconds in found.items()}
    return times


def write_times(root: Path, mirror: Path | None, repository: str, prefix: str, times: Mapping[str, float]) -> None:
    """Add `times` to what is known. A place that cannot be written is passed over: they are only hints."""
    known = read_times(root, mirror, repository, prefix) | dict(times)
    for path in _places(root, mirror, repository, prefix):
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(known, file)
            os.chmod(temporary, 0o664)  # noqa: PTH101 - other users share the mirror
            os.replace(temporary, path)  # noqa: PTH105


def _places(root: Path, mirror: Path | None, repository: str, prefix: str) -> list[Path]:
    places = []
    if mirror is not None and mirror.is_dir():
        name = hashlib.sha256(f"{repository}\n{prefix}".encode("utf-8", "surrogateescape")).hexdigest()[:16]
        places.append(mirror / "mlbutler" / "times" / f"{name}.json")
    return [*places, root / _OWN]
