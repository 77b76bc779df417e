"""What a remote stored, read again: a server or a proxy can keep other bytes of the same length."""

from __future__ import annotations

import random
import tempfile
import threading
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from mlbutler.errors import CorruptObject, MlbutlerError, StoreError
from mlbutler.store.files import explain_os_error
from mlbutler.store.interface import DownloadRequest, ObjectId, Store
from mlbutler.store.limits import most_of
from mlbutler.store.verify import is_object

MOST = 16 << 20
"""Bytes that are read back of all that one push sent to a remote."""
_OBJECTS = 4


def sample(sent: Mapping[ObjectId, int]) -> list[ObjectId]:
    """Return the smallest object and a few others by chance, as many as `MOST` bytes allow."""
    by_size = sorted(sent, key=lambda oid: (sent[oid], oid))
    chosen: list[ObjectId] = []
    left = MOST
    for oid in [*by_size[:1], *random.sample(by_size[1:], len(by_size) - 1)] if by_size else []:
        if sent[oid] <= left and len(chosen) < _OBJECTS:
            chosen.append(oid)
            left -= sent[oid]
    return chosen


def read_back(store: Store, sent: Mapping[ObjectId, int]) -> tuple[int, list[MlbutlerError]]:
    """Read a sample of what was sent, with the bytes of each, and hash it.

    Returns:
        how many objects were read and are whole; and what is wrong with others: `CorruptObject` for one that is there
        and is another, `StoreError` for one that cannot be read.
    """
    chosen = sample(sent)
    errors: list[MlbutlerError] = []
    whole = 0
    with tempfile.TemporaryDirectory(prefix="mlbutler-read-back-") as folder:
        files = {oid: Path(folder, str(number)) for number, oid in enumerate(chosen)}
        wanted = [DownloadRequest(oid, str(file), most_of(oid, sent[oid])) for oid, file in files.items()]
        with closing(store.get_many(wanted, lambda _: None, threading.Event())) as came:
            for oid, arrived in came:
                error = _problem(store.name, oid, files[oid], arrived)
                errors += [error] if error is not None else []
                whole += error is None
    return whole, errors


def _problem(remote: str, oid: ObjectId, file: Path, arrived: object) -> MlbutlerError | None:
    if isinstance(arrived, FileNotFoundError):
        return StoreError(f"'{remote}' took {oid.key} and does not have it.", "Check the remote's disk and its proxy.")
    if isinstance(arrived, MlbutlerError):
        return arrived
    if isinstance(arrived, OSError):
        return explain_os_error(arrived, "reading back what was pushed", file.parent)
    if isinstance(arrived, BaseException):
        raise arrived
    if is_object(file, oid, lambda _: None):
        return None
    return CorruptObject(
        f"'{remote}' took {oid.key} and holds something else of it: what was read back has another hash.",
        "The server, or a proxy before it, changes what is stored. When that is repaired, delete the object there and "
        "push again; look at what else was pushed meanwhile.",
    )
