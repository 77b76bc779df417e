"""MD5 of a large file while it is still being written: a thread reads behind the writer."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mlbutler.store.interface import Counter
from mlbutler.store.verify import BLOCK

if TYPE_CHECKING:
    from hashlib import _Hash

_THREADS = 2
_STEP = 8 << 20
"""Bytes that are left to gather before a thread is sent after them."""


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="mlbutler-md5")


class StreamingHash:
    """The hash of one file that only grows.

    Args:
        digest: of what the file holds already, `done` bytes.
    """

    def __init__(self, path: str | Path, digest: _Hash, done: int) -> None:
        self._path, self._digest, self._done = Path(path), digest, done
        self._work: Future[None] | None = None

    def advance(self, size: int) -> None:
        """Hash what was added: the file has `size` bytes by now."""
        if size - self._done >= _STEP and (self._work is None or self._work.done()):
            self._work = _threads().submit(self._follow, size, lambda _: None)

    def finish(self, size: int, count: Counter) -> str:
        """Return the hash of all `size` bytes of the file, which has come to its end.

        Args:
            count: called with the number of bytes of each block that was left to do; may raise to stop.

        Raises:
            OSError: the file cannot be read.
        """
        if self._work is not None:
            self._work.result()
        self._follow(size, count)
        return self._digest.hexdigest()

    def _follow(self, size: int, count: Counter) -> None:
        with self._path.open("rb", buffering=0) as file:
            file.seek(self._done)
            while self._done < size and (block := file.read(min(BLOCK, size - self._done))):
                self._digest.update(block)
                self._done += len(block)
                count(len(block))
