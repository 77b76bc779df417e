"""Directory manifests: the JSON list of files that a ``.dir`` object holds. Its content is hostile text."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from mlbutler.errors import CorruptObject
from mlbutler.parsing import Unreadable, parse_json
from mlbutler.store.interface import ObjectId

Manifest = Mapping[str, str]
"""Files of a directory: path inside it, with '/', -> MD5 of its content."""

MAX_BYTES = 512 << 20
_MAX_PATH = 4096
_MAX_NAME = 255
_MD5 = re.compile(r"[0-9a-f]{32}")
_PLAIN = re.compile(r"\w[\w .+@-]{0,99}(?:/\w[\w .+@-]{0,99}){0,9}", re.ASCII)
"""Paths with nothing in them that could be a problem: most of them."""
_KEPT_BYTES = 32 << 20
_kept: dict[ObjectId, tuple[bytes, Manifest]] = {}


def parse_manifest(content: bytes, directory: ObjectId) -> Manifest:
    """Return the files of a manifest, in its order: path inside the directory -> MD5.

    Args:
        content: the object's bytes. directory: its name, for messages.

    Raises:
        CorruptObject: it is no manifest, or names a path that must not be written (absolute, with ``..``
            or ``.git``, empty, too long, twice, or both as a file and as a folder).
    """
    known = _kept.get(directory)
    if known is not None and known[0] == content:
        return known[1]
    files = _parse(content, directory.md5)
    if len(content) <= _KEPT_BYTES:
        if sum(len(kept) for kept, _ in _kept.values()) + len(content) > _KEPT_BYTES:
            _kept.clear()
        _kept[directory] = (content, files)
    return files


def _parse(content: bytes, name: str) -> Manifest:
    if len(content) > MAX_BYTES:
        raise _refusal(name, f"larger than {MAX_BYTES >> 20} MB")
    try:
        # The hook turns each entry into a pair at once: a million dictionaries would take 250 MB more.
        entries = parse_json(content, pairs=_pair)
    except Unreadable as error:
        raise _refusal(name, "not valid JSON") from error
    if not isinstance(entries, list):
        raise _refusal(name, "not a list")
    files: dict[str, str] = {}
    folders: set[str] = set()
    for entry in entries:
        if not isinstance(entry, _JsonPair):
            raise _refusal(name, "an entry is not a file")
        path, md5 = entry
        if problem := _problem(path, md5):
            raise _refusal(name, f"{problem}: {_shortened(path)}")
        if path in files:
            raise _refusal(name, f"a path is listed twice: {_shortened(path)}")
        files[path] = md5
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    for folder in folders:
        if folder in files:
            raise _refusal(name, f"a path is both a file and a folder: {_shortened(folder)}")
    return files


class _JsonPair(tuple[Any, Any]):
    """(relpath, md5) of one JSON object; either may be of any type until checked."""


def _pair(pairs: list[tuple[str, Any]]) -> _JsonPair:
    path = md5 = None
    for key, value in pairs:
        if key == "relpath":
            path = value
        elif key == "md5":
            md5 = value
    return _JsonPair((path, md5))


def _problem(path: object, md5: object) -> str:
    if not isinstance(md5, str) or not _MD5.fullmatch(md5):
        return "a file without an MD5"
    return path_problem(path)


def path_problem(path: object) -> str:
    """Return why a path must not be written below a directory, '' when it may."""
    if not isinstance(path, str) or path == "":
        return "an empty path"
    if _PLAIN.fullmatch(path):
        return ""
    if path.startswith("/"):
        return "an absolute path"
    if "\0" in path:
        return "a path with a NUL character"
    try:
        encoded = os.fsencode(path)
    except UnicodeEncodeError:
        return "a path that is not text"
    if len(encoded) > _MAX_PATH:
        return "a path that is too long"
    for part in encoded.split(b"/"):
        if part in (b"", b".", b".."):
            return "a path with an empty part, '.' or '..'"
        if len(part) > _MAX_NAME:
            return "a name that is too long"
        if part.lower() == b".git":  # a planted repository would run its hooks and filters
            return "a path inside .git"
    return ""


def _refusal(name: str, problem: str) -> CorruptObject:
    return CorruptObject(
        f"The directory manifest {name} is refused: {problem}.",
        "It was not written by DVC as it is; add the directory again with `dvc add` or `dvc repro` and push it.",
    )


def _shortened(path: object) -> str:
    text = ascii(path)
    return text if len(text) <= 120 else text[:117] + "..."


def select(files: Manifest, inside: Iterable[str]) -> dict[str, str]:
    """Return the files that are one of the paths `inside`, or lie below one; all when it is empty."""
    wanted = {path.strip("/") for path in inside} - {"", "."}
    if not wanted:
        return dict(files)
    return {path: md5 for path, md5 in files.items() if not wanted.isdisjoint(_prefixes(path))}


def _prefixes(path: str) -> Iterable[str]:
    yield path
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
