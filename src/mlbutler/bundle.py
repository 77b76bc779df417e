"""What an untrusted build hands to a trusted one: its record, and nothing that could be run.

A bundle is a ZIP file with ``manifest.json`` and ``record.json``; pictures are in the record, as data. Its author may
be an attacker: it is read within bounds, and nothing of it is believed; it is shown as a claim.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any, cast

from mlbutler.errors import EXIT_JUDGED, MlbutlerError, OutsideError
from mlbutler.parsing import Unreadable, parse_json, reading
from mlbutler.record import Change, Record
from mlbutler.record_file import dumps, loads
from mlbutler.secrets import Redactor

NAME = "bundle.zip"
_MANIFEST, _RECORD = "manifest.json", "record.json"
_VERSION = 1
_LARGEST, _LARGEST_MANIFEST = 64 * 1024 * 1024, 64 * 1024
_MOST_VALUES = 2_000_000
"""Of the record: a text of 64 MB can be twenty million empty lists, which take gigabytes."""
_PLAIN_END = struct.Struct("<4s4H2LH")
_LARGEST_DIRECTORY = 1024
_OURS = ("push", "commit", "report", "publish")
"""Steps that a fork's build does not do: whatever it says of them is not shown."""
_EMPTIED = ("remedy", "fetch_command")
"""Fields whose text a reader would follow."""
_OF_SIGNERS = ("signer", "attested")
"""Fields that say whose signature was checked: it was not checked here."""


class BundleRefused(MlbutlerError):
    """A bundle is broken, too large, or claims what is not so."""

    exit_code = EXIT_JUDGED


def pack_bundle(record: Record, redactor: Redactor) -> bytes:
    """Return the bundle of a record."""
    content = dumps(record, redactor).encode()
    manifest = {"version": _VERSION, "files": {_RECORD: {"size": len(content), "sha256": _digest(content)}}}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_MANIFEST, json.dumps(manifest))
        archive.writestr(_RECORD, content)
    return made.getvalue()


def read_bundle(path: Path) -> Record:
    """Return the record that a bundle holds.

    Raises:
        BundleRefused: it is none, is damaged or too large, or holds anything else. OutsideError: it cannot be read.
    """
    packed = _read_file(path)
    _require_two_files(packed)
    try:
        with reading("ZIP"), zipfile.ZipFile(io.BytesIO(packed)) as archive:
            found = archive.infolist()
            if sorted(info.filename for info in found) != [_MANIFEST, _RECORD]:
                raise _refusal(f"it holds other files than {_MANIFEST} and {_RECORD}")
            if any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in found):
                raise _refusal("it is packed in a way that mlbutler does not pack")
            manifest = _read_member(archive, _MANIFEST, _LARGEST_MANIFEST)
            content = _read_member(archive, _RECORD, _LARGEST)
    except Unreadable as error:
        raise _refusal(f"it is {error.problem}") from error
    _check(manifest, content)
    if sum(map(content.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        raise _refusal(f"{_RECORD} holds more than {_MOST_VALUES:,} values")
    try:
        return loads(content)
    except MlbutlerError as error:
        raise _refusal(error.message.rstrip(".")) from error


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            packed = file.read(_LARGEST + 1)
    except OSError as error:
        raise OutsideError(f"{path} cannot be read: {error.strerror or error}.", "Name a bundle.") from error
    if len(packed) > _LARGEST:
        raise _refusal(f"it is larger than {_LARGEST >> 20} MB")
    return packed


def _require_two_files(packed: bytes) -> None:
    """Refuse an archive whose list of files is long, before anything makes an object of each.

    Its end record (.ZIP File Format Specification, 4.3.16) stands alone at the end, as `pack_bundle` writes it.
    """
    at = len(packed) - _PLAIN_END.size
    if at >= 0:
        signature, *_, size, _, comment = _PLAIN_END.unpack_from(packed, at)
        is_large = packed[max(at - 20, 0) : at].startswith(b"PK\6\7")  # ZIP64, whose own end record counts
        if signature == b"PK\5\6" and size <= _LARGEST_DIRECTORY and not comment and not is_large:
            return
    raise _refusal(f"it is not a ZIP file of {_MANIFEST} and {_RECORD}")


def _read_member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """Return a file of the archive; what its header says of its size is not believed."""
    with archive.open(name) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise _refusal(f"{name} is larger than {most:,} bytes")
    return content


def _check(manifest: bytes, content: bytes) -> None:
    try:
        found = parse_json(manifest)
    except Unreadable as error:
        raise _refusal(f"its manifest is {error.problem}") from error
    if not isinstance(found, dict) or found.get("version") != _VERSION:
        raise _refusal(f"its manifest is not of version {_VERSION}")
    if found.get("files") != {_RECORD: {"size": len(content), "sha256": _digest(content)}}:
        raise _refusal(f"{_RECORD} is not the one that its manifest names")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _refusal(why: str) -> BundleRefused:
    return BundleRefused(f"The bundle is refused: {why}.", "Look at the build that it is from.")


def as_claim(record: Record, change: Change) -> Record:
    """Return what a stranger's record says, as their claim on `change`, which is known from elsewhere.

    It loses links, commands and advice, which a reader could follow, what a fork's build cannot have done, and whose
    signatures it says to have seen.
    """
    plain = cast(Record, _plain(record))
    gone: dict[str, Any] = dict.fromkeys(_OURS)
    return dataclasses.replace(
        plain, change=change, unverified=True, report_name="", moved_remotes=(), began={}, due=(), **gone
    )


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return type(value)(**{name: _plain_field(name, item) for name, item in fields.items()})
    return value


def _plain_field(name: str, value: Any) -> Any:
    is_followed = isinstance(value, str) and (name in _EMPTIED or name.endswith("url"))
    return type(value)() if is_followed or name in _OF_SIGNERS else _plain(value)
