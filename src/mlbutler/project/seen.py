"""What a file or directory of the work tree was when it was last laid out, so that it need not be hashed again.

A signature covers inode, size, time of last change and, for files with one name, of last status change: more than
DVC's own state database compares. One whose files changed less than a tick ago is not remembered, for a change in the
same tick would not show.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from operator import itemgetter
from pathlib import Path

from mlbutler.atomic import write
from mlbutler.project.model import Recorded

_FILE = "seen.json"
_VERSION = 1
_TICK = 0.05
"""Seconds; the clock of file times moves in steps of up to 10 ms."""
_AT_ONCE = 5.0
"""Seconds for which one process believes what it has just looked at; what it changes itself it looks at again."""

_LINES = 4096

Signature = tuple[str, float]
"""A digest of every file's status, and the newest time in it."""


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
            if path in since
            and (found := self._look(self._root, path)) is not None
            and found[0] != entry["signature"]
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
        if wait and (left := newest + _TICK - time.time()) > 0:
            time.sleep(min(left, _TICK))
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


def settled(found: tuple[str, float]) -> bool:
    """Would a change that is made from now on show in this signature?"""
    return found[1] + _TICK <= time.time()


class Look:
    """Signatures of paths as they are now; what one process looked at a moment ago it does not look at again."""

    def __init__(self) -> None:
        self._at: dict[tuple[Path, str], tuple[Signature, float]] = {}

    def __call__(self, root: Path, path: str) -> Signature | None:
        """What a file or directory is now; None when absent or holding anything unusual."""
        known = self._at.get((root, path))
        if known is not None and time.monotonic() - known[1] < _AT_ONCE:
            return known[0]
        try:
            found = signature_of(root, path, statuses(str(root / path)))
        except (OSError, ValueError):
            return None
        if found is not None:
            self._at[root, path] = (found, time.monotonic())
        return found

    def again(self) -> None:
        """Files may have changed: nothing that was looked at is believed any more."""
        self._at.clear()


def signature_of(root: Path, path: str, statuses: Iterable[tuple[str, os.stat_result]]) -> Signature | None:
    """The signature from the names (absolute) and statuses of all files of `path`.

    What DVC ignores is not counted by it: the ``.dvcignore`` files above are part of the digest.

    Raises:
        OSError: a ``.dvcignore`` cannot be read. ValueError: `path` lies elsewhere.
    """
    digest = hashlib.sha256()
    newest = 0
    for above in (root / path).relative_to(root).parents:
        ignore = root / above / ".dvcignore"
        digest.update(ignore.read_bytes() if ignore.is_file() else b"")
        digest.update(b"\0")
    lines: list[str] = []
    for name, status in sorted(statuses, key=itemgetter(0)):
        if not stat.S_ISREG(status.st_mode):
            return None
        written, altered = status.st_mtime_ns, status.st_ctime_ns
        if written > newest or altered > newest:
            newest = max(written, altered)
        # Another build that links the same object, or drops its link, changes the status of all its names.
        changed = altered if status.st_nlink == 1 else 0
        lines.append(f"{name}\0{status.st_ino} {status.st_size} {written} {changed}\0")
        if len(lines) == _LINES:
            digest.update(os.fsencode("".join(lines)))
            lines.clear()
    digest.update(os.fsencode("".join(lines)))
    return digest.hexdigest(), newest / 1e9


def statuses(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """Name and status of a file, or of everything in a directory that is no directory."""
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode):
        yield path, status
        return
    folders = [path]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    yield entry.path, entry.stat(follow_symlinks=False)
