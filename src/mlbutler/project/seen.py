"""What a file or directory of the work tree was when it was last laid out, so that it need not be hashed again.

A signature (`mlbutler.project.signature`) whose files changed less than a tick ago is not remembered, for a change in
the same tick would not show.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from mlbutler.atomic import write
from mlbutler.project.model import Recorded
from mlbutler.project.signature import TICK, Look, Signature, settled

_FILE = "seen.json"
_VERSION = 1


class Seen:
    """The memory of one clone.

    Args:
        root: the project's root. look: shared with whoever else looks at the same files.
    """

    def __init__(self, root: Path, look: Look | None = None) -> None:
        self._look = look or Look()
        self._root, self._file = root, root / ".mlbutler" / _FILE
        self._known = _read(self._file)

    def get(self, path: str, algorithm: str) -> Recorded | None:
        """The hash of `path` if it is exactly what was seen, else None."""
        entry = self._known.get(path)
        if entry is None or entry.get("algorithm") != algorithm:
            return None
        found = self._look(self._root, path)
        if found is None or found[0] != entry["signature"]:
            return None
        return Recorded(algorithm, str(entry["value"]), _number(entry["size"]), _number(entry["files"]))

    def signature(self, path: str) -> str | None:
        """What `path` was when it was remembered, None when it was not."""
        entry = self._known.get(path)
        return None if entry is None else str(entry["signature"])

    def intact(self) -> frozenset[str]:
        """Paths that are exactly what was seen."""
        return frozenset(
            path
            for path, entry in self._known.items()
            if (found := self._look(self._root, path)) is not None and found[0] == entry["signature"]
        )

    def changed(self, since: Collection[str]) -> tuple[str, ...]:
        """Paths of those `since` that are there and are not what was seen."""
        self._look.again()
        return tuple(
            path
            for path, entry in self._known.items()
            if path in since and (found := self._look(self._root, path)) is not None and found[0] != entry["signature"]
        )

    def remember(
        self,
        hashes: Mapping[str, Recorded],
        *,
        wait: bool = False,
        written: Mapping[str, Signature | None] | None = None,
    ) -> None:
        """Keep hashes of paths that were just hashed or written.

        Args:
            wait: sleep until what was written a moment ago can be told from what will be written next.
            written: signatures that whoever wrote these paths took on the way.
        """
        self._look.again()
        known = written or {}
        found = {path: (recorded, known.get(path) or self._look(self._root, path)) for path, recorded in hashes.items()}
        newest = max((now[1] for _, now in found.values() if now), default=0.0)
        if wait and (left := newest + TICK - time.time()) > 0:
            time.sleep(min(left, TICK))
        changed = False
        for path, (recorded, found_now) in found.items():
            self._known.pop(path, None)
            if found_now is not None and settled(found_now):
                self._known[path] = {
                    "algorithm": recorded.algorithm, "value": recorded.value, "size": recorded.size,
                    "files": recorded.files, "signature": found_now[0],
                }  # fmt: skip
            changed = True
        if changed and self._file.parent.is_dir():
            write(self._file, json.dumps({"version": _VERSION, "seen": self._known}).encode(), durable=False)


def _read(file: Path) -> dict[str, dict[str, object]]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["version"] == _VERSION:
            return {str(path): dict(entry) for path, entry in content["seen"].items() if "signature" in entry}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return {}


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None
