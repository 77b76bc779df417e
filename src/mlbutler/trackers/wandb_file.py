"""The last numbers in the file that W&B's client writes for each run, ``run-ID.wandb``: all there is of an offline one.

Its form has been the same since 2020, for `wandb sync` reads what any older client wrote: LevelDB's log, of records in
protobuf. The project's code wrote it, so each piece that does not fit is passed over, and nothing is kept but numbers.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from mlbutler.comparison.documents import leaves
from mlbutler.numbers import as_float
from mlbutler.parsing import Unreadable, decoded, parse_json
from mlbutler.symlinks import open_plain

_HEADER = b":W&B\xe1\xbe\x00"
_BLOCK = 32 * 1024
_LARGEST = 512 * _BLOCK
"""Bytes at the file's end that are read: a client that logs writes its last numbers again and again."""
_PIECE = struct.Struct("<IHB")
"""Before each piece: a checksum, its length, and whether it is a whole record, its first, a middle or its last part."""
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_SUMMARY, _UPDATE, _REMOVE, _KEY, _NESTED, _VALUE = 3, 1, 2, 1, 2, 16
"""Numbers of fields: a record's summary; that one's items; an item's name, the parts of a name, a value as JSON."""
_MOST_METRICS, _LONGEST = 1000, 1000


def last_numbers(path: Path) -> dict[str, float]:
    """Return name -> number at the end of a run, none where there is no such file."""
    found: dict[str, float] = {}
    for record in _parse_records(_read_content(path)):
        for number, summary in _parse_fields(record):
            if number == _SUMMARY and isinstance(summary, bytes):
                _apply_record(summary, found)
    return found


def _apply_record(summary: bytes, found: dict[str, float]) -> None:
    for number, item in _parse_fields(summary):
        if not isinstance(item, bytes) or number not in (_UPDATE, _REMOVE):
            continue
        name, value = _parse_item(item)
        for old in [old for old in found if old == name or old.startswith(f"{name}.")]:
            del found[old]
        if number == _UPDATE and name and not name.startswith("_"):  # W&B's own begin so
            found |= dict(islice(_numbers(name, value), _MOST_METRICS - len(found)))


def _parse_item(item: bytes) -> tuple[str, object]:
    """Return an item's name, ``a.b`` for a nested one, and its value."""
    parts: list[str] = []
    value: object = None
    for number, content in _parse_fields(item):
        if not isinstance(content, bytes):
            continue
        if number in (_KEY, _NESTED) and content:
            parts.append(content.decode("utf-8", "replace"))
        elif number == _VALUE:
            value = _parse_json_or_none(content)
    return ".".join(parts), value


def _parse_json_or_none(content: bytes) -> object:
    try:
        return parse_json(decoded(content))
    except Unreadable:
        return None


def _numbers(name: str, value: object) -> Iterator[tuple[str, float]]:
    for full, item in (leaves({name: value}) or {}).items():
        number = None if isinstance(item, bool | str) else as_float(item)
        if number is not None and len(full) <= _LONGEST:
            yield full, number


def _read_content(path: Path) -> bytes:
    """Return the file from its beginning, or of a large one from the beginning of a block."""
    try:
        with open_plain(path) as file:
            if file.read(len(_HEADER)) != _HEADER:
                return b""
            size = os.fstat(file.fileno()).st_size
            start = max(size - _LARGEST, 0) // _BLOCK * _BLOCK
            file.seek(start)
            content = file.read(_LARGEST + _BLOCK)
    except OSError:
        return b""
    # The header stands in the first block, in the place of a piece's own.
    return content if start else _PIECE.pack(0, 0, 0) + content[len(_HEADER) :]


def _parse_records(content: bytes) -> Iterator[bytes]:
    """Yield the whole records; of a torn one, and of what is no record, nothing."""
    parts: list[bytes] = []
    for block in range(0, len(content), _BLOCK):
        at, end = block, min(block + _BLOCK, len(content))
        while at + _PIECE.size <= end:
            _, length, kind = _PIECE.unpack_from(content, at)
            piece = content[at + _PIECE.size : min(at + _PIECE.size + length, end)]
            at += _PIECE.size + length
            if kind in (_WHOLE, _FIRST):
                parts = []
            whole = len(piece) == length and (kind in (_WHOLE, _FIRST) or (kind in (_MIDDLE, _LAST) and parts))
            parts = [*parts, piece] if whole else []
            if whole and kind in (_WHOLE, _LAST):
                yield b"".join(parts)
                parts = []


def _parse_fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a protobuf message as number and content, up to the first that is broken."""
    at = 0
    while at < len(message):
        key, at = _parse_varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = _parse_varint(message, at)
            if at < 0:
                return
            yield key >> 3, value
            continue
        size = {1: 8, 5: 4}.get(kind)
        if kind == 2:
            size, at = _parse_varint(message, at)
        if at < 0 or size is None or at + size > len(message):
            return
        yield key >> 3, message[at : at + size]
        at += size


def _parse_varint(message: bytes, at: int) -> tuple[int, int]:
    """Return a number and where it ends, -1 where it does not."""
    value = 0
    for shift in range(0, 70, 7):
        if not 0 <= at < len(message):
            return 0, -1
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    return 0, -1
