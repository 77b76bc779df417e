"""What a directory of objects holds, by looking at every file of it once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlbutler.store.interface import ObjectId, object_at

_TWO = re.compile(r"[0-9a-f]{2}")
_UNFINISHED = re.compile(r"\..+\.tmp")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object: bytes it takes, and when it came or got another link (seconds since the epoch)."""

    oid: ObjectId
    size: int
    changed: float


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What a transfer that was killed left behind, or one that is under way."""

    path: Path
    size: int
    changed: float


def survey(root: Path) -> Iterator[StoredObject | Unfinished]:
    """Yield each object below `root`, and each file that a transfer has not finished; nothing else is named.

    What vanishes meanwhile is left out.

    Raises:
        OSError: a folder cannot be read.
    """
    for prefix in ("files/md5/", ""):
        top = root / prefix
        for entry in _entries(top):
            if _TWO.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                yield from _folder(Path(entry.path), f"{prefix}{entry.name}/")


def _folder(folder: Path, prefix: str) -> Iterator[StoredObject | Unfinished]:
    for entry in _entries(folder):
        try:
            if not entry.is_file(follow_symlinks=False):
                continue
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        changed = max(status.st_mtime, status.st_ctime)
        oid = object_at(prefix + entry.name)
        if oid is not None:
            yield StoredObject(oid, status.st_size, changed)
        elif _UNFINISHED.fullmatch(entry.name):
            yield Unfinished(Path(entry.path), status.st_size, changed)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
