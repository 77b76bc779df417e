"""Which objects of a directory were seen whole, so that each is hashed once and not for every build.

An object's mode says that somebody thought it whole, once. Whoever writes into it in place, or puts another file there,
changes its inode, its size or its time of last change: then it is hashed again before it is used. What was seen before
the machine last started is not believed either, because a power cut tears files that look as they should.

What shows in none of this: a disk that changes bytes by itself, and somebody who makes a file writable, writes into it
in place and sets its time back. `mlbutler store verify` hashes everything.
"""

from __future__ import annotations

import os
import re
import secrets
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from mlbutler.atomic import write
from mlbutler.errors import DiskFull
from mlbutler.store.files import make_folder
from mlbutler.store.interface import ObjectId
from mlbutler.store.linker import status_of

FOLDER = Path("mlbutler") / "whole"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_LEGACY = " dos2unix"
_ENTRY = re.compile(r"^([0-9a-f]{32}(?:\.dir)?) ([0-9]+ [0-9]+ [0-9]+)( dos2unix)?$", re.MULTILINE)
_MANY = 20
_FORGOTTEN_AFTER = 30 * 86400.0


class Whole:
    """The memory of one directory; read when it is first asked.

    Args:
        root: the directory that holds ``files/md5``.
    """

    def __init__(self, root: Path) -> None:
        self._top = root / FOLDER
        self._folder = self._top / started()
        self._seen: dict[str, str] | None = None
        self._files: list[Path] = []
        self._noted: dict[str, str] = {}
        self._new: dict[str, str] = {}
        """Of what was noted, what is not saved yet."""
        self._lock = threading.Lock()

    def knows(self, oid: ObjectId, found: os.stat_result) -> bool:
        """Was the object whole when its file had this status?"""
        if self._seen is None:
            self._read()
        assert self._seen is not None
        return self._seen.get(_name(oid)) == status_of(found)

    def statuses(self, objects: Iterable[ObjectId]) -> dict[ObjectId, str]:
        """The status (``inode bytes mtime_ns``) of each object's file when it was last seen whole; others are left out.

        Args:
            objects: of DVC 3; others are left out.
        """
        if self._seen is None and not self._noted:
            self._read()
        noted, seen = self._noted, self._seen or {}
        found = {}
        left = False
        for oid in objects:
            md5, legacy = oid
            status = None if legacy else noted.get(md5) or seen.get(md5)
            if status is not None:
                found[oid] = status
            else:
                left = True
        if left and self._seen is None:
            self._read()
            return self.statuses(objects)
        return found

    def note(self, oid: ObjectId, found: os.stat_result) -> None:
        """The object is whole: it has just been hashed, or is the same file as one that was."""
        name, status = _name(oid), status_of(found)
        if self._seen is None or self._seen.get(name) != status:
            self._noted[name] = self._new[name] = status

    def note_all(self, statuses: Mapping[ObjectId, str]) -> None:
        """As `note`, for files whose statuses another memory knew."""
        new = {oid.md5 if not oid.legacy else _name(oid): status for oid, status in statuses.items()}
        self._noted |= new
        self._new |= new

    def save(self) -> None:
        """Keep what was noted; a directory that cannot be written to is done without."""
        with self._lock:
            new, self._new = self._new, {}
        if not new:
            return
        with suppress(OSError, DiskFull):
            make_folder(self._folder)
            merged = self._files if len(self._files) >= _MANY else []
            if merged:
                assert self._seen is not None
                new = self._seen | new
            file = self._folder / f"{time.time():017.6f}-{secrets.token_hex(4)}"
            write(file, "\n".join(map(_line, new.items())).encode(), durable=False)
            if merged:
                self._files = []  # once is enough, however often this process saves
            for file in merged:
                file.unlink(missing_ok=True)
            self._forget_old()

    def _read(self) -> None:
        with self._lock:
            if self._seen is not None:
                return
            seen: dict[str, str] = {}
            with suppress(OSError):
                self._files = sorted(self._folder.iterdir())
            for file in self._files:
                with suppress(OSError, UnicodeDecodeError):
                    seen.update(_entries(file.read_text(encoding="ascii")))
            self._seen = seen

    def _forget_old(self) -> None:
        """Remove what was seen before the machine last started, once no other machine can be using it."""
        for folder in self._top.iterdir():
            if folder != self._folder and time.time() - folder.stat().st_mtime > _FORGOTTEN_AFTER:
                for file in folder.iterdir():
                    file.unlink(missing_ok=True)
                folder.rmdir()


def _name(oid: ObjectId) -> str:
    return f"{oid.md5}{_LEGACY}" if oid.legacy else oid.md5


def size_in(status: str) -> int:
    """Bytes of the file that has this status."""
    return int(status.split(" ")[1])


def _line(entry: tuple[str, str]) -> str:
    name, status = entry
    return f"{name.removesuffix(_LEGACY)} {status}{_LEGACY if name.endswith(_LEGACY) else ''}"


def _entries(text: str) -> dict[str, str]:
    """What each whole line says; a power cut tears files, and others may write into the folder."""
    return {md5 + kind: status for md5, status, kind in _ENTRY.findall(text)}


def started() -> str:
    """What tells one start of this machine from the next, and from other machines that share the directory."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:  # not Linux: power cuts do not show
        return "unknown"
