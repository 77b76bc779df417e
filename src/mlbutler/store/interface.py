"""The seam between what is moved and where it lies: an object's name, and what a store can do.

Stores hold DVC's own format. An object is named by the MD5 of its content; a directory is an object whose
name ends in ``.dir`` and whose content is a JSON list of its files. DVC 3 keeps objects at
``files/md5/ab/rest``; DVC 2 kept them at ``ab/rest`` with the MD5 of line-ending-normalised text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterable
from enum import StrEnum
from pathlib import Path
from threading import Event
from typing import NamedTuple, Protocol, TypeVar

from mlbutler.frozen import frozen


class ObjectId(NamedTuple):
    """An object's name in DVC's format: a tuple, because there are a great many of them.

    Attributes:
        md5: 32 hexadecimal digits, followed by ``.dir`` for a directory manifest.
        legacy: True for the layout and hash of DVC 2 (``md5-dos2unix``).
    """

    md5: str
    legacy: bool = False

    @property
    def is_directory(self) -> bool:
        """Tell whether it is a manifest."""
        return self.md5.endswith(".dir")

    @property
    def key(self) -> str:
        """Return the path inside a store: ``files/md5/ab/cdef...`` or, for DVC 2, ``ab/cdef...``."""
        md5, legacy = self
        return f"{md5[:2]}/{md5[2:]}" if legacy else f"files/md5/{md5[:2]}/{md5[2:]}"

    @property
    def folder(self) -> str:
        """Return the folder of `key`."""
        return self.md5[:2] if self.legacy else f"files/md5/{self.md5[:2]}"


_KEY = re.compile(r"(files/md5/)?([0-9a-f]{2})/([0-9a-f]{30}(?:\.dir)?)")


def object_at(key: str) -> ObjectId | None:
    """Return the object whose `ObjectId.key` this path is; None when it is no object's."""
    match = _KEY.fullmatch(key)
    return ObjectId(match[2] + match[3], legacy=not match[1]) if match else None


class Presence(StrEnum):
    """The three answers to "is it there?". A refusal or a failure is never "missing"."""

    PRESENT = "present"
    MISSING = "missing"
    UNDETERMINED = "undetermined"


class ObjectStatus(NamedTuple):
    """Presence of one object; `size` in bytes when the store said so; `reason` and `remedy` when undetermined.

    `denied` tells a refusal (401, 403, no permission) from other failures.
    """

    presence: Presence
    size: int | None = None
    reason: str = ""
    denied: bool = False
    remedy: str = ""


@frozen
class Need:
    """One artifact, or a part of a directory, that has to be available here.

    Attributes:
        path: what is wanted in the work tree, relative to the project's root; with `inside`, it lies in a directory
            artifact.
        oid: the object that holds the artifact.
        inside: for a directory, the paths in it that are wanted (files or folders); empty means all.
        size: bytes in all as recorded, None when unknown. files: of a directory, likewise.
        checkout: put it into the work tree; False: the cache is enough.
        remote: name of a remote of its own, None for the project's.
        imported: DVC can bring it from its source when no store holds it.
    """

    path: str
    oid: ObjectId
    inside: tuple[str, ...] = ()
    size: int | None = None
    checkout: bool = True
    remote: str | None = None
    imported: bool = False
    files: int | None = None


class DownloadRequest(NamedTuple):
    """An object that is to come: the file to write it to, and how many bytes may come (None: not known)."""

    oid: ObjectId
    destination: str
    most: int | None = None


Counter = Callable[[int], None]
"""Called with the number of bytes just moved."""


class Arrived(NamedTuple):
    """What came from a store.

    Attributes:
        came: says what and from where, in words. md5: of the content, if it was found out on the way.
        hashed: finishes an MD5 that was begun on the way; may raise as the counter that it is given does.
        found: the file's status, if it was looked at.
    """

    came: Callable[[], str]
    md5: str | None = None
    hashed: Callable[[Counter], str] | None = None
    found: os.stat_result | None = None


R = TypeVar("R")
Results = Generator[tuple[ObjectId, R], None, None]
"""Objects with what became of each."""


class Store(Protocol):
    """A place that holds objects.

    `get` writes to the path it is given (a temporary name beside the final one) and the caller verifies and renames;
    `put` makes the object appear whole. Methods may be called from several threads at once. Those for many objects
    run several at once, as the store sees fit; they yield each object's result, or its exception, in any order, take
    objects from the iterable as there is room, and end early when `stop` is set.
    """

    name: str

    def ask(self, objects: Iterable[ObjectId]) -> dict[ObjectId, ObjectStatus]:
        """Ask whether the store holds each object, and return the answers."""
        ...

    def ask_many(self, objects: Iterable[ObjectId], stop: Event) -> Results[ObjectStatus]:
        """Ask as `ask` does, for many objects at once."""
        ...

    def get(self, oid: ObjectId, destination: Path, count: Counter, most: int | None = None) -> Arrived:
        """Write the object's bytes to `destination`.

        Args:
            most: bytes that may come, None when that is not known.

        Raises:
            FileNotFoundError: the store does not hold it. AccessDenied, StoreError: it could not be read.
            CorruptObject: what came was cut short, or more than there can be.
        """
        ...

    def get_many(
        self, wanted: Iterable[DownloadRequest], count: Counter, stop: Event
    ) -> Results[Arrived | BaseException]:
        """Get objects as `get` does, many at once."""
        ...

    def put(self, oid: ObjectId, source: Path, count: Counter) -> None:
        """Store the file `source` as `oid`.

        Raises:
            AccessDenied, StoreError: it could not be written.
        """
        ...

    def put_many(
        self, sources: Iterable[tuple[ObjectId, Path]], count: Counter, stop: Event
    ) -> Results[ObjectStatus | BaseException]:
        """Put objects as `put` does, many at once; each is asked for afterwards, and that answer is its result."""
        ...
