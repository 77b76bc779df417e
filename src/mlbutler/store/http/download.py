"""One object on its way from an HTTP remote into a file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from mlbutler.store.files import write_object
from mlbutler.store.http.exchange import Receiver, Response
from mlbutler.store.http.streaming_hash import StreamingHash
from mlbutler.store.interface import Arrived, Counter, ObjectId
from mlbutler.store.limits import too_much

if TYPE_CHECKING:
    from hashlib import _Hash

_HELD = 1 << 16
"""So many bytes of an object are kept in memory: one that is no larger is written when all of it is there."""
_HASHED_AT_ONCE = 1 << 20
"""Larger objects are hashed by other threads, behind what comes, so that the network does not wait."""
_WORTH_RESUMING = 1 << 20
_AT_ONCE = 512
"""Blocks that are written by one call; systems allow 1024."""


class Download:
    """An object's bytes, over several attempts if the server can go on where it stopped.

    Args:
        remote: its name, for messages. destination: the file to write. count: called with the number of bytes that
            just came; may raise to stop. most: bytes that may come, None when that is not known.
    """

    def __init__(self, remote: str, oid: ObjectId, destination: str, count: Counter, most: int | None = None) -> None:
        self._remote, self._oid, self._destination, self._count, self._most = remote, oid, destination, count, most
        self._file: int | None = None
        self.forget()

    def forget(self) -> None:
        """Start over."""
        self.size = 0
        self._version = ""
        self._held: list[bytes] = []
        self._digest: _Hash | None = None
        self._behind: StreamingHash | None = None

    def resuming(self) -> tuple[str, ...]:
        """Return headers that ask for the rest of what came before, as long as it is still the same."""
        if self.size < _WORTH_RESUMING or not self._version:
            return ()
        return (f"Range: bytes={self.size}-", f"If-Range: {self._version}")

    def receive(self, response: Response) -> Receiver | None:
        """Choose what is done with a body: it is taken when it is (the rest of) the object.

        Raises:
            CorruptObject: it is announced to be larger than the object can be.
        """
        rest = response.status == 206 and response.header("content-range").startswith(f"bytes {self.size}-")
        if not rest and (response.status == 206 or not 200 <= response.status < 300):
            return None
        length = response.length
        self._require_room((length or 0) + (self.size if rest else 0))
        if rest:
            self._file = os.open(self._destination, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        else:
            self.forget()
            if length is None or length >= _WORTH_RESUMING:
                tag = response.header("etag")
                self._version = tag if tag and not tag.startswith("W/") else response.header("last-modified")
        return self._take

    def _require_room(self, size: int) -> None:
        if self._most is not None and size > self._most:
            raise too_much(self._remote, self._oid, self._most)

    def _take(self, blocks: Sequence[bytes]) -> None:
        before = self.size
        size = before + sum(map(len, blocks))
        self._require_room(size)
        self.size = size
        if size <= _HELD:
            self._held += blocks
        else:
            self._write(blocks, before)
        self._count(size - before)

    def _write(self, blocks: Sequence[bytes], before: int) -> None:
        if self._file is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            self._file = os.open(self._destination, flags, 0o666)
            self._digest = None if self._oid.legacy else hashlib.md5(usedforsecurity=False)
            blocks, before, self._held = [*self._held, *blocks], 0, []
        for start in range(0, len(blocks), _AT_ONCE):
            _write_all(self._file, blocks[start : start + _AT_ONCE])
        if self._digest is None:
            return
        if self.size <= _HASHED_AT_ONCE:
            for block in blocks:
                self._digest.update(block)
        else:
            self._behind = self._behind or StreamingHash(self._destination, self._digest, before)
            self._behind.advance(self.size)

    def finish(self, came: Callable[[], str]) -> Arrived:
        """Return what came, all of which is there; `came` says in words from where.

        Raises:
            OSError: it cannot be written.
        """
        if self._file is None:
            content = self._held[0] if len(self._held) == 1 else b"".join(self._held)
            found = write_object(self._destination, content)
            md5 = None if self._oid.legacy else hashlib.md5(content, usedforsecurity=False).hexdigest()
            return Arrived(came, md5, found=found)
        self.close()
        if self._behind is not None:
            return Arrived(came, hashed=partial(self._behind.finish, self.size))
        return Arrived(came, self._digest.hexdigest() if self._digest is not None else None)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _write_all(file: int, blocks: Sequence[bytes]) -> None:
    written = os.writev(file, blocks)
    if written < sum(map(len, blocks)):
        rest = memoryview(b"".join(blocks))[written:]
        while rest:
            rest = rest[os.write(file, rest) :]
