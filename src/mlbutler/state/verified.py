"""Which objects of a directory were hashed and whole, so that each is hashed once and not for every build.

An object's mode says that it was thought whole, once. Writing into it in place, or putting another file there,
changes its fingerprint: then it is hashed again before it is used. What was seen before the machine last started is not
believed either, because a power cut tears files that look as they should.

Two things are not detected: a disk that changes bytes by itself, and somebody who makes a file writable, writes into it
in place and sets its time back. `mlbutler store verify` hashes everything.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from mlbutler.state.fingerprint import Status, are_texts, is_text, to_text
from mlbutler.state.rule import is_valid
from mlbutler.state.segments import Segment

Object = TypeVar("Object", bound=tuple[str, bool])
"""An MD5, and whether it is of DVC 2 (`mlbutler.store.interface.ObjectId`)."""

KIND = "verified"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_LEGACY = " dos2unix"


class VerifiedObjects:
    """The memory of one directory; read when it is first asked.

    Args:
        place: the store's own folder in it.
    """

    def __init__(self, place: Path) -> None:
        self._segment = Segment(place, KIND, machine_start())
        self._known: Mapping[str, Any] | None = None
        self._added: dict[str, str] = {}
        self._unsaved: dict[str, str] = {}
        self._lock = threading.Lock()

    def contains(self, oid: tuple[str, bool], found: Status) -> bool:
        """Tell whether the object was whole when its file had this status."""
        if self._known is None:
            self._read()
        assert self._known is not None
        return is_valid(inputs=((self._known.get(row_name(oid)), to_text(found)),))

    def fingerprints(self, objects: Iterable[Object]) -> dict[Object, str]:
        """Return the fingerprint of each object's file when it was last whole; those of others are missing.

        Args:
            objects: of DVC 3; others are missing.
        """
        if self._known is None and not self._added:
            self._read()
        added, known = self._added, self._known or {}
        objects = list(objects)
        texts = [None if legacy else added.get(md5) or known.get(md5) for md5, legacy in objects]
        if self._known is None and None in texts:
            self._read()
            return self.fingerprints(objects)
        found = {oid: text for oid, text in zip(objects, texts, strict=True) if text is not None}
        if are_texts(found.values()):
            return found
        return {oid: text for oid, text in found.items() if is_text(text)}

    def add(self, oid: tuple[str, bool], found: Status) -> None:
        """Add an object that has just been hashed, or is the same file as one that was."""
        name, text = row_name(oid), to_text(found)
        if self._known is None or self._known.get(name) != text:
            self._added[name] = self._unsaved[name] = text

    def add_all(self, found: Mapping[Object, str]) -> None:
        """Add objects with fingerprints that another memory knew."""
        new = {row_name(oid) if oid[1] else oid[0]: text for oid, text in found.items()}
        self._added |= new
        self._unsaved |= new

    def save(self) -> None:
        """Keep what was added."""
        with self._lock:
            new, self._unsaved = self._unsaved, {}
        self._segment.append(new)

    def _read(self) -> None:
        with self._lock:
            if self._known is None:
                self._known = self._segment.read()


def row_name(oid: tuple[str, bool]) -> str:
    """Return an object's name in the files of `state/`."""
    md5, legacy = oid
    return f"{md5}{_LEGACY}" if legacy else md5


def parse_row_name(name: str) -> tuple[str, bool]:
    """Return the object with this name: the inverse of `row_name`."""
    return name.removesuffix(_LEGACY), name.endswith(_LEGACY)


def machine_start() -> str:
    """Return an id of this start of this machine; several machines may share the directory."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:  # not Linux: power cuts do not show
        return "unknown"
