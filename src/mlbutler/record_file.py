"""The record as JSON: written whole or not at all, without secrets, read back exactly."""

from __future__ import annotations

import dataclasses
import json
import math
from enum import Enum
from pathlib import Path
from typing import Any, cast

from mlbutler import atomic
from mlbutler.errors import OutsideError, ProjectError
from mlbutler.parsing import Unreadable, parse_json
from mlbutler.record import SCHEMA_VERSION, Record
from mlbutler.secrets import Redactor

_NO_SECRETS = Redactor(())
_LONGEST = 200
# Without indent= the encoder is the one in C: a record can hold a hundred thousand points of curves.
_compact = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def redacted_record(record: Record, redactor: Redactor) -> Record:
    """Return the same record with secrets hidden in every text, and every text and number fit for JSON.

    Lone surrogates (file names that are not UTF-8) become backslash escapes; a number that JSON cannot
    hold becomes ``"NaN"``, ``"Infinity"`` or ``"-Infinity"`` where a text may stand.
    """
    return cast(Record, _clean(record, redactor))


def dumps(record: Record, redactor: Redactor = _NO_SECRETS) -> str:
    """Return the record as JSON, a line for each field of each step."""
    lines = []
    for name, value in _plain(record, redactor).items():
        if isinstance(value, dict):
            inside = ",\n".join(f"  {_compact(key)}: {_compact(item)}" for key, item in value.items())
            lines.append(f" {_compact(name)}: {{\n{inside}\n }}" if inside else f" {_compact(name)}: {{}}")
        else:
            lines.append(f" {_compact(name)}: {_compact(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def loads(text: str | bytes) -> Record:
    """Return the record that `dumps` wrote.

    Raises:
        ProjectError: it is no record, or one of another schema version.
    """
    import msgspec

    remedy = "Delete the file; the next run writes a new one."
    try:
        content = parse_json(text)
    except Unreadable as error:
        raise ProjectError(f"Not a record of mlbutler: the document: {error.problem}.", remedy) from error
    if not isinstance(content, dict):
        raise ProjectError("Not a record of mlbutler: the document: no JSON object.", remedy)
    try:
        record = msgspec.convert(content, Record, strict=False)
    except msgspec.ValidationError as error:
        said, _, where = str(error)[:_LONGEST].partition(" - at `$.")
        where = f"{where.rstrip('`')}: " if where else ""
        raise ProjectError(f"Not a record of mlbutler: {where}{said}.", remedy) from error
    except Exception as error:  # half a character, a number beyond all bounds: it converts as C does
        raise ProjectError(f"Not a record of mlbutler: {type(error).__name__}.", remedy) from error
    if record.schema != SCHEMA_VERSION:
        raise ProjectError(
            f"The record has schema version {record.schema}, this mlbutler reads {SCHEMA_VERSION}.", remedy
        )
    return record


def record_path(root: Path, name: str | None = None) -> Path:
    """Return where a run keeps its record; each pipeline of a project (`ReportSettings.name`) has one of its own."""
    return root / ".mlbutler" / (f"record-{name}.json" if name else "record.json")


def latest_record(root: Path) -> Path:
    """Return where the run that wrote last in this clone keeps its record, whatever its pipeline's name."""
    return max((root / ".mlbutler").glob("record*.json"), key=_mtime, default=record_path(root))


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def write_record(path: Path, record: Record, redactor: Redactor, *, durable: bool = True) -> None:
    """Replace the file at `path` atomically.

    Args:
        durable: see `atomic.write`.

    Raises:
        DiskFull: no space is left. OutsideError: the file cannot be written.
    """
    try:
        atomic.write(path, dumps(record, redactor).encode("utf-8"), durable=durable)
    except OSError as error:
        raise OutsideError(
            f"Cannot write the record {path}: {error.strerror or error}.", f"Make {path.parent} writable."
        ) from error


def read_record(path: Path, *, strict: bool = False) -> Record | None:
    """Return the record at `path`, None when there is none.

    A file that cannot be used (broken, of another schema version) is None as well and the reason is
    logged, because a run can always start from the beginning; with `strict` it is an error.

    Raises:
        ProjectError: (with `strict`) the file cannot be used.
    """
    try:
        return loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        problem = ProjectError(
            f"Cannot read the record {path}: {error.strerror or error}.",
            f"Delete {path}, or make it readable.",
        )
    except ProjectError as error:
        problem = ProjectError(f"{path}: {error.message}", error.remedy)
    if strict:
        raise problem
    import logging

    logging.getLogger(__name__).warning("%s It is ignored.", problem.message)
    return None


def _plain(value: Any, redactor: Redactor) -> Any:
    """Return what `_clean` makes of a value, as dictionaries and lists."""
    kind = type(value)
    if kind is float:
        return value if math.isfinite(value) else _clean(value, redactor)
    if kind is int or kind is bool or value is None:
        return value
    if kind is str:
        return _text(value, redactor)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [_plain(item, redactor) for item in value]
    if isinstance(value, dict):
        return {_text(str(key), redactor): _plain(item, redactor) for key, item in value.items()}
    return {field.name: _plain(getattr(value, field.name), redactor) for field in dataclasses.fields(value)}


def _text(text: str, redactor: Redactor) -> str:
    hidden = redactor.hide(text)
    return hidden if hidden.isascii() else hidden.encode("utf-8", "backslashreplace").decode("utf-8")


def _clean(value: Any, redactor: Redactor) -> Any:
    if value is None or type(value) is int:
        return value
    if isinstance(value, Enum):  # our own vocabulary: hiding "passed" would make the record unreadable
        return value
    if isinstance(value, str):
        return _text(value, redactor)
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, tuple | list):
        return tuple(_clean(item, redactor) for item in value)
    if isinstance(value, dict):
        return {_clean(key, redactor): _clean(item, redactor) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: _clean(getattr(value, f.name), redactor) for f in dataclasses.fields(value)}
        return type(value)(**fields)
    return value
