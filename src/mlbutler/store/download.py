"""One object on its way from an HTTP remote into a file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import IO

from mlbutler.store.curl import Receiver, Response
from mlbutler.store.interface import Counter, ObjectId

_HASHED_AT_ONCE = 1 << 20
"""Larger objects are hashed by other threads, after they have come, so that the network does not wait."""
_WORTH_RESUMING = 1 << 20


class Download:
    """An object's bytes, over several attempts if the server can go on where it stopped.

    Args:
        destination: the file to write. count: called with the number of bytes just written; may raise to stop.
    """

    def __init__(self, oid: ObjectId, destination: Path, count: Counter) -> None:
        self._oid, self._destination, self._count = oid, destination, count
        self._file: IO[bytes] | None = None
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.size = 0
        self._version = ""
        self._digest = None if self._oid.legacy else hashlib.md5(usedforsecurity=False)

    def resuming(self) -> tuple[str, ...]:
        """Headers that ask for the rest of what came before, as long as it is still the same."""
        if self.size < _WORTH_RESUMING or not self._version:
            return ()
        return (f"Range: bytes={self.size}-", f"If-Range: {self._version}")

    def receive(self, response: Response) -> Receiver | None:
        """Open the file for a body that is (the rest of) the object."""
        rest = response.status == 206 and response.headers.get("content-range", "").startswith(f"bytes {self.size}-")
        if not rest and (response.status == 206 or not 200 <= response.status < 300):
            return None
        if not rest:
            self.forget()
            tag = response.headers.get("etag", "")
            self._version = tag if tag and not tag.startswith("W/") else response.headers.get("last-modified", "")
        self._file = self._destination.open("ab" if rest else "wb", buffering=0)
        return self._write

    def _write(self, block: bytes) -> None:
        assert self._file is not None
        view = memoryview(block)
        while view:
            view = view[self._file.write(view) :]
        self.size += len(block)
        if self._digest is not None:
            if self.size <= _HASHED_AT_ONCE:
                self._digest.update(block)
            else:
                self._digest = None
        self._count(len(block))

    def finish(self) -> str | None:
        """The content's MD5, None where it is still to be found out."""
        self.close()
        return self._digest.hexdigest() if self._digest is not None else None

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
