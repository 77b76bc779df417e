"""One object on its way from an HTTP remote into a file."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import IO

from mlbutler.store.http.curl import Receiver, Response
from mlbutler.store.http.streaming_hash import StreamingHash
from mlbutler.store.interface import Arrived, Counter, ObjectId
from mlbutler.store.limits import too_much

_HASHED_AT_ONCE = 1 << 20
"""Larger objects are hashed by other threads, behind what comes, so that the network does not wait."""
_WORTH_RESUMING = 1 << 20


class Download:
    """An object's bytes, over several attempts if the server can go on where it stopped.

    Args:
        remote: its name, for messages. destination: the file to write. count: called with the number of bytes just
            written; may raise to stop. most: bytes that may come, None when that is not known.
    """

    def __init__(self, remote: str, oid: ObjectId, destination: Path, count: Counter, most: int | None = None) -> None:
        self._remote, self._oid, self._destination, self._count, self._most = remote, oid, destination, count, most
        self._file: IO[bytes] | None = None
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.size = 0
        self._version = ""
        self._digest = hashlib.md5(usedforsecurity=False)
        self._behind: StreamingHash | None = None

    def resuming(self) -> tuple[str, ...]:
        """Return headers that ask for the rest of what came before, as long as it is still the same."""
        if self.size < _WORTH_RESUMING or not self._version:
            return ()
        return (f"Range: bytes={self.size}-", f"If-Range: {self._version}")

    def receive(self, response: Response) -> Receiver | None:
        """Open the file for a body that is (the rest of) the object.

        Raises:
            CorruptObject: it is announced to be larger than the object can be.
        """
        rest = response.status == 206 and response.headers.get("content-range", "").startswith(f"bytes {self.size}-")
        if not rest and (response.status == 206 or not 200 <= response.status < 300):
            return None
        length = response.headers.get("content-length", "")
        if length.isascii() and length.isdigit() and len(length) < 20:
            self._require_room(int(length) + (self.size if rest else 0))
        if not rest:
            self.forget()
            tag = response.headers.get("etag", "")
            self._version = tag if tag and not tag.startswith("W/") else response.headers.get("last-modified", "")
        self._file = self._destination.open("ab" if rest else "wb", buffering=0)
        return self._write

    def _require_room(self, size: int) -> None:
        if self._most is not None and size > self._most:
            raise too_much(self._remote, self._oid, self._most)

    def _write(self, block: bytes) -> None:
        assert self._file is not None
        self._require_room(self.size + len(block))
        view = memoryview(block)
        while view:
            view = view[self._file.write(view) :]
        before = self.size
        self.size += len(block)
        if not self._oid.legacy:
            if self.size <= _HASHED_AT_ONCE:
                self._digest.update(block)
            else:
                self._behind = self._behind or StreamingHash(self._destination, self._digest, before)
                self._behind.advance(self.size)
        self._count(len(block))

    def arrived(self, came: str) -> Arrived:
        """Return what came, all of which is there; `came` says in words from where."""
        self.close()
        if self._oid.legacy:
            return Arrived(came)
        if self._behind is None:
            return Arrived(came, self._digest.hexdigest())
        return Arrived(came, hashed=partial(self._behind.finish, self.size))

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
