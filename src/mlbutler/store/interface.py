"""The seam between what is moved and where it lies: an object's name, and what a store can do.

Stores hold DVC's own format. An object is named by the MD5 of its content; a directory is an object whose
name ends in ``.dir`` and whose content is a JSON list of its files. DVC 3 keeps objects at
``files/md5/ab/rest``; DVC 2 kept them at ``ab/rest`` with the MD5 of line-ending-normalised text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, order=True)
class ObjectId:
    """An object's name in DVC's format.

    Attributes:
        md5: 32 hexadecimal digits, followed by ``.dir`` for a directory manifest.
        legacy: True for the layout and hash of DVC 2 (``md5-dos2unix``).
    """

    md5: str
    legacy: bool = False

    @property
    def is_directory(self) -> bool:
        """Is it a manifest?"""
        return self.md5.endswith(".dir")

    @property
    def key(self) -> str:
        """Path inside a store: ``files/md5/ab/cdef...`` or, for DVC 2, ``ab/cdef...``."""
        prefix = "" if self.legacy else "files/md5/"
        return f"{prefix}{self.md5[:2]}/{self.md5[2:]}"


class Presence(StrEnum):
    """The three answers to "is it there?". A refusal or a failure is never "missing"."""

    PRESENT = "present"
    MISSING = "missing"
    UNDETERMINED = "undetermined"


@dataclass(frozen=True)
class Answer:
    """Presence of one object; `size` in bytes when the store said so; `reason` when undetermined."""

    presence: Presence
    size: int | None = None
    reason: str = ""


Counter = Callable[[int], None]
"""Called with the number of bytes just moved."""


class Store(Protocol):
    """A place that holds objects.

    Methods may be called from several threads at once. `get` writes to the path it is given (a temporary
    name beside the final one) and the caller verifies and renames; `put` makes the object appear whole.
    """

    name: str

    def ask(self, objects: Iterable[ObjectId]) -> dict[ObjectId, Answer]:
        """Presence of each object, asked for itself."""
        ...

    def get(self, oid: ObjectId, destination: Path, count: Counter) -> None:
        """Write the object's bytes to `destination`.

        Raises:
            FileNotFoundError: the store does not hold it. AccessDenied, StoreError: it could not be read.
            CorruptObject: what came was cut short.
        """
        ...

    def put(self, oid: ObjectId, source: Path, count: Counter) -> None:
        """Store the file `source` as `oid`.

        Raises:
            AccessDenied, StoreError: it could not be written.
        """
        ...
