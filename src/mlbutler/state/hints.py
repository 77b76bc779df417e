"""Small things that builds remember for one another: in the mirror for every build on the agent, and in the project.

They are only hints: anybody may have written what is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlbutler.frozen import frozen
from mlbutler.state.segments import Segment


@frozen
class Hints:
    """One kind of hints of one project, a mapping from text to JSON.

    Attributes:
        root: the project's root. repository, prefix: which project it is, for the mirror.
    """

    kind: str
    root: Path
    mirror: Path | None
    repository: str
    prefix: str

    def read(self) -> dict[str, Any]:
        """Return what is known; what the mirror says counts more, as every build writes there."""
        found: dict[str, Any] = {}
        for segment in self._segments():
            found |= segment.read()
        return found

    def write(self, values: Mapping[str, Any]) -> None:
        """Add `values` to what is known."""
        for segment in self._segments():
            segment.read()  # so that it is rewritten after many lines
            segment.append(values)

    def _segments(self) -> list[Segment]:
        found = [Segment(self.root / ".mlbutler", self.kind)]
        if self.mirror is not None and self.mirror.is_dir():
            found.append(Segment(self.mirror / "mlbutler", self.kind, f"{self.repository}\n{self.prefix}"))
        return found
