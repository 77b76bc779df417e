"""Write a file so that a reader sees the old content or the new, whatever happens in between."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from mlbutler.errors import DiskFull

TEMPORARY = ".new-"
"""What the name of a file begins with until it is whole; one that is killed leaves it."""


def write(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Replace `path` by a file that holds `data`; missing parent directories are made.

    Args:
        durable: survive a power cut. Without it the disk need not write at once all that was created just before, and
            readers of the file must cope with a torn one.

    Raises:
        DiskFull: no space is left; the old file is untouched. OSError: any other failure.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, data, durable)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"No space is left to write {path}.", "Free some space and run again.") from error
        raise


def _replace(path: Path, data: bytes, durable: bool) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.chmod(0o644)  # mkstemp makes it private; CI servers publish these files as another user
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    try:
        handle = os.open(directory, os.O_RDONLY)
    except OSError:  # Windows, and some network file systems, cannot open a directory
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
