"""Remember outputs that mlbutler's stages left and that no store holds: they are not a user's unsaved work.

A stage that failed or was killed may have left half of them; one that ended well leaves its ``cache: false`` outputs.
Their fingerprints are kept: what somebody changes afterwards is unsaved work. Where mlbutler itself was
killed with a stage, there are none: whatever is at its outputs counts as left by it, until it runs again. That entry
alone has no input, since no process saw what half an output was; without it an interrupted run would leave "unsaved
work" that keeps the next one from starting.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from mlbutler.project.model import Stage
from mlbutler.state.fingerprint import Fingerprint, fingerprint, wait_while_racy
from mlbutler.state.rule import is_valid
from mlbutler.state.segments import Segment

_KIND = "left"
_ABSENT = Fingerprint("absent", 0.0)
_RUNNING = ""


class LeftByStages:
    """The memory of one clone: stage -> output -> fingerprint, or `_RUNNING` until the stage has ended.

    Args:
        root: the project's root.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._segment = root, Segment(root / ".mlbutler", _KIND)
        self._stages = _read(self._segment)

    def begins(self, stage: Stage) -> None:
        """Note that a stage is about to write its outputs."""
        self._keep(stage, {output.path: _RUNNING for output in stage.outputs if not output.external})

    def ended(self, stage: Stage, *, well: bool) -> None:
        """Note what is there now that the stage has ended.

        Args:
            well: it made its outputs, so that the cache has those that DVC keeps.
        """
        outputs = [out.path for out in stage.outputs if not out.external and not (well and out.cached)]
        found = {path: left for path in outputs if (left := self._look(path)) is not None}
        wait_while_racy(found.values())
        self._keep(stage, {path: left.text for path, left in found.items() if not left.is_racy()})

    def holds(self, paths: Collection[str]) -> frozenset[str]:
        """Return those of `paths` where there is what a stage left."""
        known: dict[str, set[str]] = {}
        for outputs in self._stages.values():
            for path, text in outputs.items():
                known.setdefault(path, set()).add(text)
        return frozenset(path for path in paths if path in known and self._is_left(path, known[path]))

    def _is_left(self, path: str, texts: Collection[str]) -> bool:
        if _RUNNING in texts:
            return True
        now = self._look(path)
        return now is not None and any(is_valid(inputs=((text, now.text),)) for text in texts)

    def _look(self, path: str) -> Fingerprint | None:
        """Return what is there: links too are what stages leave; None where it cannot be read."""
        return fingerprint(self._root, path, any_kind=True) if os.path.lexists(self._root / path) else _ABSENT

    def _keep(self, stage: Stage, outputs: dict[str, str]) -> None:
        self._stages.pop(stage.name, None)
        if outputs:
            self._stages[stage.name] = outputs
        self._segment.append({stage.name: outputs or None})  # without it they are taken for somebody's work


def _read(segment: Segment) -> dict[str, dict[str, str]]:
    return {
        stage: {str(path): str(text) for path, text in outputs.items()}
        for stage, outputs in segment.read().items()
        if isinstance(outputs, dict)
    }
