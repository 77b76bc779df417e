"""Append-only files of lines, each whole or ignored: the one format of all that mlbutler remembers.

A line is a code and a JSON object: rows, by name. A later row replaces an earlier one of its name, None removes it. The
code is made over the format's version and over what the file is for as well: a line that was torn, that another process
wrote into, of another version, or copied from another file is no line here.

All that is remembered can be done without: what cannot be read is not there, what cannot be written is not kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlbutler.atomic import write
from mlbutler.errors import DiskFull
from mlbutler.shared_folders import make_folder, share
from mlbutler.state.seal import UNSEALED, Seal

FOLDER = "state"
_VERSION = "mlbutler state 1"
_MANY = 20
"""Lines that a file may have before it is rewritten."""
_LARGEST = 512 << 20
_FORGOTTEN_AFTER = 30 * 86400.0
"""Seconds after which a file that nobody wrote to is removed."""

_NAME = 32
"""Length of a file's name that is made from what it is for."""
_OLDER = (
    *(f"{name}.json" for name in ("planned", "seen", "brought", "pushed", "partial", "left", "times", "verdicts")),
    "mlbutler", "whole", "pushed", "all-pushed", "lacked", "uses", "times", "verdicts", "size.json", "growth",
)  # fmt: skip
"""What earlier versions remembered, below the same places."""

Rows = dict[str, Any]


class Segment:
    """One append-only file of rows, each a key with a value in JSON.

    Args:
        place: ``.mlbutler`` of a clone, or ``mlbutler`` of a store. kind: what is remembered. key: of what; files with
            another key lie beside it, and go when nobody has written to them for a month. seal: shows who wrote it.
        name: of the file, where it is found by listing the folder. many: lines after which `append` rewrites it.
            What another process appends meanwhile is lost then; where each row counts that is left to `replace`.
    """

    def __init__(
        self, place: Path, kind: str, key: str = "", seal: Seal = UNSEALED, *, name: str = "", many: float = _MANY
    ) -> None:
        self._place, self._folder, self._seal, self._lines = place, place / FOLDER / kind, seal, 0
        self._many = many
        self._purpose = json.dumps([_VERSION, kind, key]).encode()
        self._name = name or hashlib.sha256(self._purpose + seal.name.encode()).hexdigest()[:_NAME]

    @property
    def file(self) -> Path:
        """Return where it lies."""
        return self._folder / self._name

    def read(self) -> Rows:
        """Return all rows of lines that are whole."""
        rows: Rows = {}
        for found in self._read():
            if len(found) <= len(rows):
                rows |= found
            else:  # most are in one line: a million of them are not copied
                for name, value in rows.items():
                    found.setdefault(name, value)
                rows = found
        return {name: value for name, value in rows.items() if value is not None} if None in rows.values() else rows

    def append(self, rows: Mapping[str, Any]) -> None:
        """Add a line; after many, rewrite the file."""
        if not self._seal.believes or not rows:
            return
        if self._lines >= self._many:
            self.replace({**self.read(), **rows})
            return
        with suppress(OSError):
            self._begin()
            # Before it too, for what a process that was killed has left without an end.
            content = b"\n" + self._line(rows) + b"\n"
            handle = os.open(self.file, os.O_WRONLY | os.O_APPEND)
            try:
                os.write(handle, content)
            finally:
                os.close(handle)
            self._lines += 1

    def replace(self, rows: Mapping[str, Any], *, durable: bool = False) -> bool:
        """Rewrite the file with these rows alone; return whether that succeeded.

        Args:
            durable: survive a power cut.
        """
        if not self._seal.believes:
            return False
        try:
            self._begin()
            write(self.file, self._line(rows) + b"\n", durable=durable)
        except (OSError, DiskFull):
            return False
        self._lines = 1
        with suppress(OSError):
            share(self.file)
        return True

    def remove(self) -> None:
        """Forget all of it."""
        with suppress(OSError):
            self.file.unlink()

    def _begin(self) -> None:
        """Make the file, and remove those of its kind that nobody has written to for long.

        Raises:
            OSError: it cannot be made.
        """
        if self.file.exists():
            return
        make_folder(self._folder)
        _remove_older_formats(self._place)
        for other in self._folder.iterdir():
            with suppress(OSError):
                if len(other.name) == _NAME and time.time() - other.stat().st_mtime > _FORGOTTEN_AFTER:
                    other.unlink()
        os.close(os.open(self.file, os.O_WRONLY | os.O_CREAT, 0o644))
        with suppress(OSError):  # another process, of another user, was first
            share(self.file)

    def _line(self, rows: Mapping[str, Any]) -> bytes:
        body = json.dumps(rows, separators=(",", ":")).encode()
        return self._seal.code(self._purpose, body).encode() + b" " + body

    def _read(self) -> Iterator[Rows]:
        self._lines = 0
        if not self._seal.believes:
            return
        try:
            with self.file.open("rb") as file:
                if os.fstat(file.fileno()).st_size > _LARGEST:
                    return
                lines = file.read().split(b"\n")
        except OSError:
            return
        lines.reverse()
        while lines:
            if not lines[-1]:
                lines.pop()
                continue
            self._lines += 1
            with suppress(ValueError, RecursionError):  # written by another, with a code of ours that needs no secret
                # Popped here, so that nothing else holds it while it is parsed: it may be 100 MB.
                rows = json.loads(self._body(lines.pop()))
                if isinstance(rows, dict):
                    yield rows

    def _body(self, line: bytes) -> str:
        """Return the JSON of a line.

        Raises:
            ValueError: the line is not whole, or no line of this file.
        """
        end = line.find(b" ")
        body = memoryview(line)[end + 1 :]
        if end < 0 or not self._seal.is_code(line[:end], self._purpose, body):
            raise ValueError
        return str(body, "utf-8")


def remove_all(place: Path, kind: str) -> None:
    """Forget all of a kind, whatever its key."""
    with suppress(OSError):
        for file in (place / FOLDER / kind).iterdir():
            with suppress(OSError):
                file.unlink()


def _remove_older_formats(place: Path) -> None:
    for name in _OLDER:
        path = place / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
