"""Which outputs are what stages of mlbutler's left there, though no store holds them: they are nobody's unsaved work.

A stage that failed or was killed may have left half of them; one that ended well leaves its ``cache: false`` outputs.
Their signatures are kept in ``.mlbutler/left.json``: what somebody changes afterwards is his. Where mlbutler itself was
killed with a stage, nobody took them: whatever is at its outputs counts as left by it, until it runs again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from mlbutler.atomic import write
from mlbutler.errors import DiskFull
from mlbutler.project.model import Stage
from mlbutler.project.signature import Look

_FILE = "left.json"
_ABSENT = "absent"
_ANY = ""


class LeftByStages:
    """The memory of one clone: stage -> output -> signature, or `_ANY` while the stage runs.

    Args:
        root: the project's root.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._file = root, root / ".mlbutler" / _FILE
        self._stages = _read(self._file)

    def begins(self, stage: Stage) -> None:
        """Note that a stage is about to write its outputs."""
        self._keep(stage, {output.path: _ANY for output in stage.outputs if not output.external})

    def ended(self, stage: Stage, *, well: bool) -> None:
        """Note what is there now that the stage has ended.

        Args:
            well: it made its outputs, so that the cache has those that DVC keeps.
        """
        outputs = [out.path for out in stage.outputs if not out.external and not (well and out.cached)]
        self._keep(stage, {path: self._signature(path) for path in outputs})

    def holds(self, paths: Collection[str]) -> frozenset[str]:
        """Those of `paths` where there is what a stage left."""
        known: dict[str, set[str]] = {}
        for outputs in self._stages.values():
            for path, signature in outputs.items():
                known.setdefault(path, set()).add(signature)
        return frozenset(path for path in paths if path in known and known[path] & {_ANY, self._signature(path)})

    def _signature(self, path: str) -> str:
        if not os.path.lexists(self._root / path):
            return _ABSENT
        found = Look()(self._root, path)
        return found[0] if found is not None else _ANY

    def _keep(self, stage: Stage, outputs: dict[str, str]) -> None:
        self._stages.pop(stage.name, None)
        if outputs:
            self._stages[stage.name] = outputs
        with suppress(OSError, DiskFull):  # then they are taken for somebody's work
            write(self._file, json.dumps(self._stages).encode(), durable=False)


def _read(file: Path) -> dict[str, dict[str, str]]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {
            str(stage): {str(path): str(signature) for path, signature in outputs.items()}
            for stage, outputs in content.items()
        }
    except (OSError, ValueError, AttributeError):
        return {}
