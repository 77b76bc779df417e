"""What a remote was seen to hold, kept beside the mirror's objects, so that the next build need not ask again.

Only "present" is kept: "missing" is soon wrong, "undetermined" says nothing. An answer can become false, because
somebody may remove objects from the remote; so it is believed for a limited time, and whoever uses it tells its age.
"""

from __future__ import annotations

import hashlib
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mlbutler.atomic import write
from mlbutler.errors import DiskFull
from mlbutler.store.files import make_folder
from mlbutler.store.interface import Answer, ObjectId, Presence
from mlbutler.store.pushed_before import forget_shared
from mlbutler.store.seal import LENGTH, UNSEALED, Seal

FOLDER = Path("mlbutler") / "pushed"
_MAGIC = b"mlbutler pushed 2\n"
_HEAD = struct.Struct("<d")
_ROW = struct.Struct("<16sBq")
_DIRECTORY, _LEGACY = 1, 2
_DIGEST = 32
_CLOCK_ERROR = 300.0
"""Seconds by which the clocks of two builds may differ; an answer from further ahead is not believed."""


@dataclass(frozen=True)
class Known:
    """An answer of an earlier build: size in bytes if it was said, and how many seconds ago it was asked."""

    size: int | None
    age: float


class Remembered:
    """Answers of one or several remotes.

    Each file holds what one build asked: the time, a row for each object, a digest that shows a torn file, and a code
    that shows who wrote it.

    Args:
        root: the mirror, or another folder of ours. lifetime: seconds for which an answer is believed.
        seal: shows that mlbutler wrote it.
    """

    def __init__(self, root: Path, lifetime: float, seal: Seal = UNSEALED) -> None:
        self._top, self._root, self._lifetime, self._seal = root, root / FOLDER, lifetime, seal

    def known(self, address: str) -> dict[ObjectId, Known]:
        """What the remote at `address` was seen to hold, not too long ago."""
        found: dict[ObjectId, Known] = {}
        now = time.time()
        for file in sorted(self._folder(address).glob("*.answers")):
            content = _read(file)
            if content is None or not -_CLOCK_ERROR <= now - content.asked <= self._lifetime:
                with suppress(OSError):  # useless to every build from now on
                    file.unlink()
                continue
            asked, body, code = content
            if not self._seal.holds(code, address.encode(), body):
                continue
            rows = _rows(body)
            age = max(now - asked, 0.0)
            for oid, size in rows:
                if oid not in found or found[oid].age > age:
                    found[oid] = Known(size, age)
        return found

    def add(self, address: str, answers: Mapping[ObjectId, Answer]) -> None:
        """Keep those of these answers that are certain; a folder that cannot be written is done without."""
        rows = [
            _ROW.pack(
                bytes.fromhex(oid.md5[:32]),
                (_DIRECTORY if oid.is_directory else 0) | (_LEGACY if oid.legacy else 0),
                -1 if answer.size is None else answer.size,
            )
            for oid, answer in answers.items()
            if answer.presence is Presence.PRESENT
        ]
        if not rows or self._lifetime <= 0:
            return
        now = time.time()
        content = _MAGIC + _HEAD.pack(now) + b"".join(rows)
        content += hashlib.sha256(content).digest() + self._seal.of(address.encode(), content)
        name = f"{now:017.6f}-{hashlib.sha256(content).hexdigest()[:8]}.answers"
        with suppress(OSError, DiskFull):
            make_folder(self._folder(address))
            write(self._folder(address) / name, content, durable=False)

    def forget(self, address: str) -> None:
        """The remote turned out to lack something: nothing that was said of it is believed any more."""
        forget_shared(self._top)
        for file in self._folder(address).glob("*.answers"):
            with suppress(OSError):
                file.unlink()

    def _folder(self, address: str) -> Path:
        return self._root / hashlib.sha256(address.encode()).hexdigest()[:32]


class _Content(NamedTuple):
    asked: float
    body: bytes
    code: bytes


def _read(file: Path) -> _Content | None:
    """When it was asked, what was answered, and its code; None when the file is torn or of another kind."""
    try:
        content = file.read_bytes()
    except OSError:
        return None
    rest, code = content[:-LENGTH], content[-LENGTH:]
    body, digest = rest[:-_DIGEST], rest[-_DIGEST:]
    start = len(_MAGIC) + _HEAD.size
    if (
        not body.startswith(_MAGIC)
        or hashlib.sha256(body).digest() != digest
        or len(body) < start
        or (len(body) - start) % _ROW.size
    ):
        return None
    (asked,) = _HEAD.unpack_from(body, len(_MAGIC))
    return _Content(asked, body, code)


def _rows(body: bytes) -> Iterator[tuple[ObjectId, int | None]]:
    """Object and size of each row."""
    for md5, flags, size in _ROW.iter_unpack(body[len(_MAGIC) + _HEAD.size :]):
        name = md5.hex() + (".dir" if flags & _DIRECTORY else "")
        yield ObjectId(name, bool(flags & _LEGACY)), size if size >= 0 else None
