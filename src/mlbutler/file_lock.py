"""Locks that are files: the kernel lets go of one when the process that holds it ends, however it ends.

The library filelock does the same, and more; importing it took a tenth of what most verbs do.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlbutler.errors import OutsideError

_POLL = 0.05
_HELD = (errno.EAGAIN, errno.EACCES)
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


class LockHeld(Exception):
    """Another process, or another thread, holds the lock."""


@contextmanager
def lock_file(path: Path, patience: float | None = None) -> Iterator[None]:
    """Hold the lock that is the file `path`; the file stays, so that those that wait have the same one.

    Args:
        patience: seconds to wait for who holds it; None: for ever.

    Raises:
        LockHeld: somebody still does. OutsideError: the file system has no locks.
        OSError: the file cannot be made or opened.
    """
    until = None if patience is None else time.monotonic() + patience
    while (lock := _taken(path)) is None:
        if until is not None and time.monotonic() >= until:
            raise LockHeld(path)
        time.sleep(_POLL)
    try:
        yield
    finally:
        os.close(lock)


def _taken(path: Path) -> int | None:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if error.errno in _HELD:
            return None
        if error.errno in _NO_LOCKS:
            raise OutsideError(
                f"The file system that {path.parent} is on has no locks (flock).",
                "Mount it with them, or work on another one.",
            ) from error
        raise
    if _lies_at(path, lock):
        return lock
    os.close(lock)  # it was removed in the meantime
    return None


def _lies_at(path: Path, lock: int) -> bool:
    try:
        return os.path.samestat(os.fstat(lock), os.lstat(path))
    except FileNotFoundError:
        return False
