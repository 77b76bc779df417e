"""Is a file the object it claims to be? Hashing as DVC 3 and DVC 2 do it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mlbutler.errors import CorruptObject
from mlbutler.store.interface import Counter, ObjectId

BLOCK = 1 << 20
EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"


def file_md5(path: Path, *, legacy: bool = False, count: Counter | None = None) -> str:
    """Return the MD5 of a file's content, 32 hexadecimal digits.

    Args:
        legacy: hash as DVC 2 did: line endings of text normalised.
        count: called with the number of bytes of each block; may raise to stop.

    Raises:
        OSError: the file cannot be read.
    """
    if legacy:  # DVC decides block by block what is text: its own code is the only definition
        from dvc_data.hashfile.hash import fobj_md5

        with path.open("rb") as file:
            return str(fobj_md5(file, chunk_size=BLOCK, name="md5-dos2unix"))
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK):
            digest.update(block)
            if count is not None:
                count(len(block))
    return digest.hexdigest()


def is_object(path: Path, oid: ObjectId, count: Counter | None = None) -> bool:
    """Tell whether the file holds exactly the bytes that `oid` names.

    Raises:
        OSError: the file cannot be read.
    """
    return file_md5(path, legacy=oid.legacy, count=count) == oid.md5.removesuffix(".dir")


def is_content(content: bytes, directory: ObjectId) -> bool:
    """Tell whether these bytes are the manifest that `directory` names.

    Its JSON has no line endings for DVC 2 to normalise.
    """
    return hashlib.md5(content, usedforsecurity=False).hexdigest() == directory.md5.removesuffix(".dir")


def require_object(path: Path, oid: ObjectId, came: str, count: Counter | None = None) -> None:
    """Refuse a file that is not `oid`; `came` says in words what it is.

    Raises:
        CorruptObject: the hash differs.
    """
    if not is_object(path, oid, count):
        raise wrong_content(oid, came)


def wrong_content(oid: ObjectId, came: str) -> CorruptObject:
    """Return the error to raise when the hash differs."""
    return CorruptObject(
        f"Object {oid.md5} has the wrong content: {came}.",
        "If a proxy or a login page answers in its place, fix that; if the object itself is damaged, "
        "somebody who has the data can repair it with `mlbutler push`.",
    )
