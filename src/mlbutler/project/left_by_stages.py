"""Remember outputs that mlbutler's stages left and that no store holds: they are not a user's unsaved work.

A stage that failed or was killed may have left half of them; one that ended well leaves its ``cache: false`` outputs.
Their fingerprints are kept: what somebody changes afterwards is unsaved work. Where mlbutler itself was
killed with a stage, there are none: whatever is at its outputs counts as left by it, until it runs again. That entry
alone has no input, since no process saw what half an output was; without it an interrupted run would leave "unsaved
work" that keeps the next one from starting.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from mlbutler.project.model import Stage
from mlbutler.state.fingerprint import Fingerprint, fingerprint, wait_while_racy
from mlbutler.state.rule import is_valid
from mlbutler.state.segments import Segment

_KIND = "left"
_ABSENT = Fingerprint("absent", 0.0)
_RUNNING = ""


class LeftByStages:
    """The memory of one clone: output -> fingerprint, or `_RUNNING` until a stage that makes it has ended.

    DVC lets one stage make an output; where that stage gets another name, what is remembered is of the output still.

    Args:
        root: the project's root.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._segment = root, Segment(root / ".mlbutler", _KIND)
        self._left = {path: text for path, text in self._segment.read().items() if isinstance(text, str)}

    def note_start(self, stage: Stage) -> None:
        """Note that a stage is about to write its outputs."""
        self._keep({output.path: _RUNNING for output in stage.outputs if not output.external})

    def note_end(self, stage: Stage, *, well: bool) -> None:
        """Note what is there now that the stage has ended.

        Args:
            well: it made its outputs, so that the cache has those that DVC keeps.
        """
        outputs = [output for output in stage.outputs if not output.external]
        uncached = [output.path for output in outputs if not (well and output.cached)]
        found = {path: left for path in uncached if (left := self._look(path)) is not None}
        wait_while_racy(found.values())
        sure = {path: left.text for path, left in found.items() if not left.is_racy()}
        self._keep({output.path: sure.get(output.path) for output in outputs})

    def holds(self, paths: Collection[str]) -> frozenset[str]:
        """Return those of `paths` where there is what a stage left."""
        return frozenset(path for path in paths if path in self._left and self._is_left(path, self._left[path]))

    def _is_left(self, path: str, text: str) -> bool:
        if text == _RUNNING:
            return True
        now = self._look(path)
        return now is not None and is_valid(inputs=((text, now.text),))

    def _look(self, path: str) -> Fingerprint | None:
        """Return what is there: links too are what stages leave; None where it cannot be read."""
        return fingerprint(self._root, path, any_kind=True) if os.path.lexists(self._root / path) else _ABSENT

    def _keep(self, outputs: Mapping[str, str | None]) -> None:
        for path, text in outputs.items():
            self._left.pop(path, None)
            if text is not None:
                self._left[path] = text
        self._segment.append(outputs)  # without it they are taken for somebody's work
