"""What is the same twice of a file that was not written between."""

from __future__ import annotations

import os
from typing import NamedTuple


class FileStamp(NamedTuple):
    """A file's inode, size, and time of change in nanoseconds."""

    ino: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> FileStamp:
        """Return the stamp of a file with this status."""
        return cls(found.st_ino, found.st_size, found.st_mtime_ns)
