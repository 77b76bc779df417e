"""Find the sockets of the machine's services that have a name in the file system."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

_LISTENING, _MOUNTS = "/proc/net/unix", "/proc/self/mountinfo"
_NAME, _PLACE = 7, 4
"""Columns: the name that a socket is bound to; where something is mounted."""


def sockets(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return those that processes here have bound, that are mounted into this container, and that variables name."""
    found = {Path(os.path.realpath(path)) for path in _candidate_paths(environ) if path.startswith("/")}
    return tuple(sorted(path for path in found if _is_socket(path)))


def _candidate_paths(environ: Mapping[str, str]) -> Iterator[str]:
    for file, column in ((_LISTENING, _NAME), (_MOUNTS, _PLACE)):
        try:
            lines = Path(file).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        except OSError:  # not Linux, or hidden
            continue
        for line in lines:
            words = line.split(None, column)
            if len(words) > column:
                yield words[column] if column == _NAME else words[column].partition(" ")[0]
    for value in environ.values():
        yield value.removeprefix("unix://")


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.lstat().st_mode)
    except OSError:
        return False
