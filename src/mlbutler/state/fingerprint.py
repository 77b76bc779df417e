"""Fingerprints of files and directories: equal ones mean that nothing was written in between.

A fingerprint covers inode, size, time of last change and, for files with one name, of last status change: more than
DVC's own state database compares. Its text is what is kept and compared. It is written and read in this module alone,
and once more in the program of `mlbutler.store.linker`, which imports nothing of ours.

An object of a store has the text alone, without the time of status change (`to_text`): nobody may write into it by
the time it is hashed (`is_fixed`), so that nobody asks whether it is racy, and there are 50,000 of them.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import stat
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

MTIME_GRANULARITY = 0.05
"""Seconds; the clock of file times moves in steps of up to 10 ms."""

_LINES = 4096
_KIND, _FILE = stat.S_IFMT(0o177777), stat.S_IFREG
_KIND_AND_WRITERS = _KIND | 0o222
_TEXT = re.compile(r"[0-9]+ [0-9]+ [0-9]+").fullmatch


class Status(Protocol):
    """What of an `os.stat_result` is looked at."""

    @property
    def st_mode(self) -> int:
        """Return the file type and permissions."""
        ...

    @property
    def st_ino(self) -> int:
        """Return the inode."""
        ...

    @property
    def st_size(self) -> int:
        """Return the bytes."""
        ...

    @property
    def st_nlink(self) -> int:
        """Return the number of names."""
        ...

    @property
    def st_mtime(self) -> float:
        """Return the time of last change, seconds since the epoch."""
        ...

    @property
    def st_mtime_ns(self) -> int:
        """Return the time of last change in nanoseconds."""
        ...

    @property
    def st_ctime_ns(self) -> int:
        """Return the time of last status change in nanoseconds."""
        ...


class Fingerprint(NamedTuple):
    """The state of a file, or of all files of a directory, as text that can be compared.

    Attributes:
        text: what is compared and kept. newest: of the times in it, seconds since the epoch.
    """

    text: str
    newest: float

    @classmethod
    def of(cls, found: Status) -> Self:
        """Return the fingerprint of a file with this status."""
        return cls(_text(found), max(found.st_mtime_ns, found.st_ctime_ns) / 1e9)

    def is_racy(self, since: float = math.inf) -> bool:
        """Tell whether a change might not show in it: from now on, or after `since` (seconds since the epoch)."""
        return self.newest + MTIME_GRANULARITY > min(time.time(), since)


def wait_while_racy(found: Iterable[Fingerprint]) -> None:
    """Wait until a change that follows shows in them; what is still racy then has times that lie ahead.

    It is at most one step of the clock. Git keeps what is racy and hashes it the next time; here that would be all that
    was just laid out.
    """
    left = max((one.newest for one in found), default=0.0) + MTIME_GRANULARITY - time.time()
    if left > 0:
        time.sleep(min(left, MTIME_GRANULARITY))


def to_text(found: Status) -> str:
    """Return the text of the fingerprint of an object in a store: other builds link it, which changes its status."""
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns}"


def from_text(text: str) -> tuple[int, int, int]:
    """Return inode, bytes and time of last change, in nanoseconds, of the object that has this fingerprint."""
    inode, size, changed = text.split(" ")
    return int(inode), int(size), int(changed)


def size_in(text: str) -> int:
    """Return the bytes of the object, or the file, that has this fingerprint."""
    return int(text.split(" ")[1])  # for each of 50,000: half of what `from_text` takes


def is_text(text: object) -> bool:
    """Tell whether it is the text of an object's fingerprint: a file of ours may hold anything."""
    return isinstance(text, str) and _TEXT(text) is not None


def are_texts(texts: Collection[Any]) -> bool:
    """Tell whether `is_text` holds for each; all at once, since a regular expression for each costs more."""
    try:
        joined = "\n".join([*texts, ""]).encode()
    except (TypeError, ValueError):
        return False
    if joined.translate(None, b"0123456789") != b"  \n" * len(texts):
        return False
    return not joined.startswith(b" ") and not any(gap in joined for gap in (b"  ", b" \n", b"\n "))


def is_fixed(found: Status) -> bool:
    """Tell whether it is a file that nobody may write into."""
    return found.st_mode & _KIND_AND_WRITERS == _FILE


def _text(found: Status) -> str:
    # Another build that links the same object, or drops its link, changes the status of all its names.
    return f"{to_text(found)} {found.st_ctime_ns if found.st_nlink == 1 else 0}"


class TreeFingerprint:
    """Takes the fingerprint of a path while its files are looked at.

    What DVC ignores is not counted by it: the ``.dvcignore`` files above, in the project, are part of the fingerprint.

    Args:
        any_kind: links and what else is no file are not unusual; they are looked at and not followed.

    Raises:
        OSError: a ``.dvcignore`` cannot be read.
    """

    def __init__(self, root: Path, path: str, *, any_kind: bool = False) -> None:
        self._any_kind = any_kind
        self._digest = hashlib.sha256()
        above = "" if Path(path).is_absolute() else path
        while above:
            above = above.rpartition("/")[0]
            ignore = f"{root}/{above}/.dvcignore"
            if os.path.isfile(ignore):  # noqa: PTH113 - above each of thousands of files
                self._digest.update(Path(ignore).read_bytes())
            self._digest.update(b"\0")
        self._lines: list[str] = []
        self._newest = 0
        self._unusual = False

    def add(self, statuses: Iterable[tuple[str, Status]]) -> None:
        """Add the names (absolute) and statuses of files."""
        newest, append = self._newest, self._lines.append
        for name, status in statuses:
            if status.st_mode & _KIND != _FILE and not self._any_kind:
                self._unusual = True
                return
            written, altered = status.st_mtime_ns, status.st_ctime_ns
            if written > newest:
                newest = written
            if altered > newest:
                newest = altered
            append(f"{name}\0{_text(status)}\0")
        self._newest = newest

    def result(self) -> Fingerprint | None:
        """Return the fingerprint of all that was added, None where one was no file."""
        if self._unusual:
            return None
        self._lines.sort()
        for start in range(0, len(self._lines), _LINES):
            self._digest.update(os.fsencode("".join(self._lines[start : start + _LINES])))
        return Fingerprint(self._digest.hexdigest(), self._newest / 1e9)


def tree_fingerprint(root: Path, path: str, statuses: Iterable[tuple[str, Status]]) -> Fingerprint | None:
    """Return the fingerprint from the names (absolute) and statuses of all files of `path`, None where one is unusual.

    Raises:
        OSError: a ``.dvcignore`` cannot be read.
    """
    found = TreeFingerprint(root, path)
    found.add(statuses)
    return found.result()


def fingerprint(root: Path, path: str, *, any_kind: bool = False) -> Fingerprint | None:
    """Return the fingerprint of a path in the project as it is now; None when absent or holding anything unusual.

    Args:
        any_kind: as for `TreeFingerprint`.
    """
    try:
        found = TreeFingerprint(root, path, any_kind=any_kind)
        found.add(statuses(str(root / path)))
        return found.result()
    except (OSError, ValueError):
        return None


class Fingerprints:
    """Fingerprints of paths as they are now; what was looked at once is not looked at again until `clear`."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, str], Fingerprint] = {}

    def __call__(self, root: Path, path: str) -> Fingerprint | None:
        """Return what a file or directory is now; None when absent or holding anything unusual."""
        found = self._known.get((root, path)) or fingerprint(root, path)
        if found is not None:
            self._known[root, path] = found
        return found

    def put(self, root: Path, found: Mapping[str, Fingerprint]) -> None:
        """Keep fingerprints that were taken while these paths were written."""
        self._known |= {(root, path): one for path, one in found.items()}

    def clear(self) -> None:
        """Look again: files may have changed."""
        self._known.clear()


def statuses(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield name and status of a file, or of everything in a directory that is no directory."""
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
