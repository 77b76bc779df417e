"""Small things that builds remember for one another: in the mirror for every build on the agent, and in the project.

They are hints: a place that cannot be read or written is passed over, and what is read may be anybody's.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Hints:
    """One kind of hints of one project, a mapping from text to JSON.

    Attributes:
        kind: the folder's name in the mirror, and the file's in the project. root: the project's root.
        repository, prefix: which project it is, for the mirror.
    """

    kind: str
    root: Path
    mirror: Path | None
    repository: str
    prefix: str

    def read(self) -> dict[str, Any]:
        """Return what is known; what the mirror says counts more, as every build writes there."""
        found: dict[str, Any] = {}
        for path in self._places():
            with suppress(OSError, ValueError, TypeError):
                found |= json.loads(path.read_text(encoding="utf-8"))
        return found

    def write(self, values: Mapping[str, Any]) -> None:
        """Add `values` to what is known."""
        known = self.read() | dict(values)
        for path in self._places():
            with suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                handle, temporary = tempfile.mkstemp(dir=path.parent)
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(known, file)
                os.chmod(temporary, 0o664)  # noqa: PTH101 - other users share the mirror
                os.replace(temporary, path)  # noqa: PTH105

    def _places(self) -> list[Path]:
        places = [self.root / ".mlbutler" / f"{self.kind}.json"]
        if self.mirror is not None and self.mirror.is_dir():
            text = f"{self.repository}\n{self.prefix}".encode("utf-8", "surrogateescape")
            places.append(self.mirror / "mlbutler" / self.kind / f"{hashlib.sha256(text).hexdigest()[:16]}.json")
        return places
