"""Looking ahead: while a verb starts, other processes look at the files that it is going to ask about.

A verb in place spends most of its time on two things: starting, and looking at each file of the work tree (and `sync`
at each object of the cache). Neither needs the other.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlbutler.errors import MlbutlerError
from mlbutler.forked import Forked, forked
from mlbutler.project.root import find_root
from mlbutler.project.signature import Signature, signature_of, statuses

_PLANNED, _BROUGHT, _LOCK = "planned.json", "brought.json", "lock"
_FOLDER = ".mlbutler"
_ahead: dict[Path, Ahead] = {}


class Ahead:
    """What is being looked at below one project's root.

    Attributes:
        began: when (monotonic). stamp: of the clone's lock then.
    """

    def __init__(self, root: Path, *, objects: bool) -> None:
        self.began, self.stamp = time.monotonic(), _stamp(root)
        folder = root / _FOLDER
        self._files = _looking(folder / _PLANNED, lambda: _signatures(root, folder / _PLANNED))
        self._objects = _looking(folder / _BROUGHT, lambda: _digest(folder / _BROUGHT)) if objects else None

    def signatures(self) -> dict[str, Signature]:
        """Of the paths that the last plan rested on, once; waits for them."""
        found, self._files = self._files.result() if self._files is not None else None, None
        return {str(path): (str(digest), float(newest)) for path, (digest, newest) in (found or {}).items()}

    def objects(self) -> str | None:
        """The digest of the objects that were brought last, once; waits for it. None when it is not known."""
        found, self._objects = self._objects.result() if self._objects is not None else None, None
        return found if isinstance(found, str) else None

    def stop(self) -> None:
        """What was seen is not wanted."""
        for process in (self._files, self._objects):
            if process is not None:
                process.stop()
        self._files = self._objects = None


def look_ahead(directory: Path, *, objects: bool) -> None:
    """Begin to look at the project that `directory` lies in, if there is one and it was looked at before.

    Args:
        objects: at the cache's objects too.
    """
    try:
        root = find_root(directory)
    except (MlbutlerError, OSError):  # told by whoever opens it
        return
    _ahead[root] = Ahead(root, objects=objects)


def claimed(root: Path) -> Ahead | None:
    """What was begun for the project at `root`, once; None where another mlbutler worked there since.

    To be asked before the clone is locked.
    """
    found = _ahead.pop(root, None)
    if found is None or found.stamp == _stamp(root):
        return found
    found.stop()
    return None


def leave(root: Path) -> None:
    """Whoever began to look at the project while it was locked must not believe what he saw: it was being changed."""
    with suppress(OSError):
        os.utime(root / _FOLDER / _LOCK)


def _stamp(root: Path) -> int | None:
    try:
        return (root / _FOLDER / _LOCK).stat().st_mtime_ns
    except OSError:
        return None


def _looking(memory: Path, function: Callable[[], Any]) -> Forked | None:
    return forked(function) if memory.is_file() else None


def _signatures(root: Path, memory: Path) -> dict[str, Signature]:
    found = {}
    for path in json.loads(memory.read_text(encoding="utf-8"))["paths"]:
        try:
            signature = signature_of(root, path, statuses(str(root / path)))
        except (OSError, ValueError):  # gone: looked at again, and told
            continue
        if signature is not None:
            found[path] = signature
    return found


def _digest(memory: Path) -> str | None:
    from mlbutler.store.brought_before import digest_at

    return digest_at(memory)
