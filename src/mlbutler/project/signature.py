"""What a file or directory of the work tree is now, in one digest.

A signature covers inode, size, time of last change and, for files with one name, of last status change: more than
DVC's own state database compares.
"""

from __future__ import annotations

import hashlib
import math
import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from mlbutler.store.linking import Linked

TICK = 0.05
"""Seconds; the clock of file times moves in steps of up to 10 ms."""
_AT_ONCE = 5.0
"""Seconds for which one process believes what it has just looked at; what it changes itself it looks at again."""

_LINES = 4096
_KIND, _FILE = stat.S_IFMT(0o177777), stat.S_IFREG

Signature = tuple[str, float]
"""A digest of every file's status, and the newest time in it."""

Status: TypeAlias = "os.stat_result | Linked"
"""A file's status as the system tells it, or as it is known of a link that was just made."""


def settled(found: Signature, since: float = math.inf) -> bool:
    """Would a change that is made from now on show in this signature? And none was made `since`: seconds since the
    epoch."""
    return found[1] + TICK <= min(time.time(), since)


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

    def note(self, root: Path, found: Mapping[str, Signature], when: float | None = None) -> None:
        """Whoever wrote these paths, or looked at them at `when` (monotonic; now), knows their signatures."""
        when = time.monotonic() if when is None else when
        self._at.update({(root, path): (signature, when) for path, signature in found.items()})

    def again(self) -> None:
        """Files may have changed: nothing that was looked at is believed any more."""
        self._at.clear()


def signature_of(root: Path, path: str, statuses: Iterable[tuple[str, Status]]) -> Signature | None:
    """The signature from the names (absolute) and statuses of all files of `path`.

    What DVC ignores is not counted by it: the ``.dvcignore`` files above, in the project, are part of the digest.

    Raises:
        OSError: a ``.dvcignore`` cannot be read.
    """
    digest = hashlib.sha256()
    newest = 0
    for above in (root / path).relative_to(root).parents if (root / path).is_relative_to(root) else ():
        ignore = root / above / ".dvcignore"
        digest.update(ignore.read_bytes() if ignore.is_file() else b"")
        digest.update(b"\0")
    lines: list[str] = []
    for name, status in statuses:
        if status.st_mode & _KIND != _FILE:
            return None
        written, altered = status.st_mtime_ns, status.st_ctime_ns
        if written > newest:
            newest = written
        if altered > newest:
            newest = altered
        # Another build that links the same object, or drops its link, changes the status of all its names.
        changed = altered if status.st_nlink == 1 else 0
        lines.append(f"{name}\0{status.st_ino} {status.st_size} {written} {changed}\0")
    lines.sort()
    for start in range(0, len(lines), _LINES):
        digest.update(os.fsencode("".join(lines[start : start + _LINES])))
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
