"""Bound what a remote may send: no more bytes than the object has, and not too slowly."""

from __future__ import annotations

import time
from collections.abc import Callable

from mlbutler.errors import CorruptObject
from mlbutler.store.interface import Counter, ObjectId
from mlbutler.store.manifest import MAX_BYTES
from mlbutler.store.retry import Transient

SLOWEST = 1000
"""Bytes a second, of one transfer; less than that for `WINDOW` seconds ends it."""
WINDOW = 60.0
_SLACK = 1 << 20
"""Sizes are recorded, not proved: the hash decides. A flood is far more than this."""
_LONGEST_ENTRY = 6 * 4096 + 256
"""Bytes of one file in a manifest, all characters of its path escaped."""


def most_of(oid: ObjectId, size: int | None, files: int | None = None) -> int | None:
    """Return the bytes that may come for an object, None when nothing is known of it.

    Args:
        size: as recorded. files: of a directory, as recorded; its manifest is what `oid` names.
    """
    if oid.is_directory:
        return MAX_BYTES if files is None else min(files * _LONGEST_ENTRY + _SLACK, MAX_BYTES)
    return None if size is None else size + _SLACK


def too_much(remote: str, oid: ObjectId, most: int) -> CorruptObject:
    """Return the error when more comes than `most`."""
    return CorruptObject(
        f"Remote '{remote}' sends more than {most:,} bytes for {oid.key}, which is less by what is recorded.",
        "Something else answers at the remote's address, or another object lies there: check the remote's url, then "
        "push the object again from where it was made.",
    )


def too_slow(remote: str, what: str) -> Transient:
    """Return the error when bytes come, but too few."""
    return Transient(
        f"Remote '{remote}' moves less than {SLOWEST:,} bytes a second for {what}.",
        "Check the network and the remote; with many transfers at once over a slow line set data.jobs to a few.",
    )


class Incoming:
    """Counts the bytes of one object as they come, and ends what is too much or too slow by raising.

    Args:
        count: called with the bytes too. most: as of `most_of`.
    """

    def __init__(
        self, remote: str, oid: ObjectId, count: Counter, most: int | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._remote, self._oid, self._count, self._most, self._clock = remote, oid, count, most, clock
        self._size = self._before = 0
        self._since = clock()

    def __call__(self, size: int) -> None:
        """Count so many bytes more.

        Raises:
            CorruptObject: it is more than there can be. Transient: it is too slow.
        """
        self._size += size
        if self._most is not None and self._size > self._most:
            raise too_much(self._remote, self._oid, self._most)
        now = self._clock()
        if now - self._since >= WINDOW:
            if self._size - self._before < SLOWEST * (now - self._since):
                raise too_slow(self._remote, self._oid.key)
            self._since, self._before = now, self._size
        self._count(size)
