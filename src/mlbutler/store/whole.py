"""Which objects of a directory were seen whole, so that each is hashed once and not for every build.

An object's mode says that somebody thought it whole, once. Whoever writes into it in place, or puts another file there,
changes its inode, its size or its time of last change: then it is hashed again before it is used. What was seen before
the machine last started is not believed either, because a power cut tears files that look as they should.

Only a disk that changes bytes by itself shows in none of this; `mlbutler store verify` hashes everything.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from contextlib import suppress
from pathlib import Path

from mlbutler.atomic import write
from mlbutler.errors import DiskFull
from mlbutler.store.files import make_folder
from mlbutler.store.interface import ObjectId

FOLDER = Path("mlbutler") / "whole"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_MANY = 20
_FORGOTTEN_AFTER = 30 * 86400.0


class Whole:
    """The memory of one directory; read when it is first asked.

    Args:
        root: the directory that holds ``files/md5``.
    """

    def __init__(self, root: Path) -> None:
        self._top = root / FOLDER
        self._folder = self._top / _started()
        self._seen: set[str] | None = None
        self._files: list[Path] = []
        self._new: list[str] = []
        self._lock = threading.Lock()

    def knows(self, oid: ObjectId, found: os.stat_result) -> bool:
        """Was the object whole when its file had this status?"""
        if self._seen is None:
            self._read()
        assert self._seen is not None
        return _line(oid, found) in self._seen

    def note(self, oid: ObjectId, found: os.stat_result) -> None:
        """The object is whole: it has just been hashed, or is the same file as one that was."""
        line = _line(oid, found)
        if self._seen is None or line not in self._seen:
            self._new.append(line)

    def save(self) -> None:
        """Keep what was noted; a directory that cannot be written to is done without."""
        with self._lock:
            lines, self._new = self._new, []
        if not lines:
            return
        with suppress(OSError, DiskFull):
            make_folder(self._folder)
            merged = self._files if len(self._files) >= _MANY else []
            if merged:
                assert self._seen is not None
                lines = [*self._seen, *lines]
            file = self._folder / f"{time.time():017.6f}-{secrets.token_hex(4)}"
            write(file, "\n".join(lines).encode(), durable=False)
            if merged:
                self._files = []  # once is enough, however often this process saves
            for file in merged:
                file.unlink(missing_ok=True)
            self._forget_old()

    def _read(self) -> None:
        with self._lock:
            if self._seen is not None:
                return
            seen: set[str] = set()
            with suppress(OSError):
                self._files = sorted(self._folder.iterdir())
            for file in self._files:
                with suppress(OSError, UnicodeDecodeError), file.open(encoding="ascii") as lines:
                    seen.update(line.rstrip("\n") for line in lines)
            self._seen = seen

    def _forget_old(self) -> None:
        """Remove what was seen before the machine last started, once no other machine can be using it."""
        for folder in self._top.iterdir():
            if folder != self._folder and time.time() - folder.stat().st_mtime > _FORGOTTEN_AFTER:
                for file in folder.iterdir():
                    file.unlink(missing_ok=True)
                folder.rmdir()


def _line(oid: ObjectId, found: os.stat_result) -> str:
    kind = " dos2unix" if oid.legacy else ""
    return f"{oid.md5} {found.st_ino} {found.st_size} {found.st_mtime_ns}{kind}"


def _started() -> str:
    """What tells one start of this machine from the next, and from other machines that share the directory."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:  # not Linux: power cuts do not show
        return "unknown"
