"""The hash that DVC gives to a directory, with its state database and ``.dvcignore`` asked for whole folders.

DVC asks them, and makes objects, for one file after the other: 30 microseconds of the processor for each of a directory
that has not changed.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Iterable, Iterator
from json.encoder import encode_basestring_ascii
from typing import Any

import msgspec

from mlbutler.project.model import MD5, Recorded
from mlbutler.state.fingerprint import TreeFingerprint
from mlbutler.state.read_recorder import pause_recording

_IGNORE_FILE = f"{os.sep}.dvcignore"
_LARGE = 1 << 20  # bytes from which DVC hashes files beside one another

_File = tuple[str, os.stat_result]


class _Unusual(Exception):
    """DVC itself has to look: it refuses something, or there is nothing to hash."""


class _RecordedMd5(msgspec.Struct):
    md5: str = ""


class _StateRow(msgspec.Struct):
    """What the state database has of a file; DVC 2 wrote no version, and other hashes."""

    checksum: str
    hash_info: _RecordedMd5
    version: int = 0


_decode = msgspec.json.Decoder(_StateRow).decode


def hash_directory(repo: Any, item: Any, fingerprint: TreeFingerprint) -> Recorded | None:
    """Return the hash of a directory as DVC would take it, None where DVC itself has to.

    What it has to hash, DVC hashes, and puts into its state database.

    Args:
        repo: an opened `dvc.repo.Repo`. item: its output or dependency. fingerprint: it gets the status of every file.

    Raises:
        OSError: something cannot be read. UnicodeError: a name is no UTF-8.
    """
    if not _is_plain(repo, item):
        return None
    known = _KnownFiles(repo.state, item.fs_path)
    try:
        unknown = [
            path
            for folder, found in _files(repo.dvcignore, item.fs_path, fingerprint)
            for path in known.add_known(folder, found)
        ]
    except _Unusual:
        return None
    files, size = known.files, known.size
    if unknown:
        from dvc_data.hashfile.build import _get_hashes

        infos = {path: item.fs.info(path) for path in unknown}
        hashed = _get_hashes(
            unknown, item.fs, MD5, infos, state=repo.state, jobs=item.fs.hash_jobs, large_file_threshold=_LARGE
        )
        files |= {path: info.value for path, (_, info, _) in hashed.items()}
        size += sum(meta.size or 0 for meta, _, _ in hashed.values())
    if not files:
        return None
    return Recorded(MD5, _manifest_hash(item.fs_path, files), size, len(files))


def _is_plain(repo: Any, item: Any) -> bool:
    """Tell whether it is on this machine, and DVC takes its hash as it takes any output's."""
    from dvc.fs import LocalFileSystem
    from dvc.output import Output
    from dvc_data.hashfile.state import State

    return (
        isinstance(item.fs, LocalFileSystem)
        and isinstance(repo.state, State)
        and hasattr(repo.state, "hashes")
        and type(item)._get_hash_meta is Output._get_hash_meta
    )


class _KnownFiles:
    """Those files of a directory that are what DVC's state database has.

    Attributes:
        files: path -> MD5. size: bytes of all of them.
    """

    def __init__(self, state: Any, top: str) -> None:
        # By the order of the names, and not by each of them: a third of the time.
        found = state.hashes._sql(
            "SELECT key, value FROM Cache WHERE key > ? AND key < ? AND raw = 1",
            (f"{top}{os.sep}", f"{top}{chr(ord(os.sep) + 1)}"),
        )
        self._rows: dict[str, str] = dict(found.fetchall())
        self._version = state.HASH_VERSION
        self.files: dict[str, str] = {}
        self.size = 0

    def add_known(self, folder: str, found: Iterable[_File]) -> Iterator[str]:
        """Take those files of a folder that are known; yield the paths of the others."""
        row_of, decode, version, files = self._rows.get, _decode, self._version, self.files
        size = 0
        for name, status in found:
            path = f"{folder}{os.sep}{name}"
            try:
                entry = decode(row_of(path, ""))
            except msgspec.DecodeError:
                yield path
                continue
            # As DVC computes it; where it once does otherwise, it is asked, and says that it knows the file.
            token = f"([{status.st_ino}, {status.st_mtime!r}, {status.st_size}],)"
            checksum = int.from_bytes(hashlib.md5(token.encode(), usedforsecurity=False).digest(), "big")
            if entry.checksum == str(checksum) and 0 < entry.version <= version and (md5 := entry.hash_info.md5):
                files[path] = md5
                size += status.st_size
            else:
                yield path
        self.size += size


def _files(ignores: Any, top: str, fingerprint: TreeFingerprint) -> Iterator[tuple[str, list[_File]]]:
    """Yield folders with name and status of each file that is not ignored; of a link that of what it leads to."""
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        folders: list[str] = []
        found: dict[str, os.stat_result] = {}
        with pause_recording(), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                else:
                    found[entry.name] = entry.stat(follow_symlinks=False)
        prefix = f"{folder}{os.sep}"
        fingerprint.add((prefix + name, status) for name, status in found.items())
        # The very calls of DVC: it reads the ``.dvcignore`` of a folder, and looks for other projects, at the first.
        pattern = ignores._get_trie_pattern(folder, dnames=folders)
        if pattern:
            folders, _ = pattern(folder, folders, [])
        waiting += [prefix + name for name in folders]
        names = _without_ignored(pattern, folder, found) if pattern else found
        yield folder, [(name, status) for name in names if (status := _file_status(prefix + name, found[name]))]


def _file_status(path: str, status: os.stat_result) -> os.stat_result | None:
    """Return the status of a file, None for a link to a folder: DVC passes over it."""
    if not stat.S_ISREG(status.st_mode):
        if stat.S_ISLNK(status.st_mode):
            status = os.stat(path)  # noqa: PTH116
            if stat.S_ISDIR(status.st_mode):
                return None
        if not stat.S_ISREG(status.st_mode):
            raise _Unusual
    if path.endswith(_IGNORE_FILE):
        raise _Unusual
    return status


def _without_ignored(pattern: Any, folder: str, names: Collection[str]) -> Iterable[str]:
    """Return the names of files in a folder that the patterns do not ignore.

    It is `DvcIgnorePatterns.matches` of each, with the folders above asked once.
    """
    above = pattern._get_normalize_path(folder, "")
    if above is None:  # they are another folder's
        return names
    if above and pattern.matches(*os.path.split(folder), True):
        return ()
    rules = [(regex.match, ignored) for regex, ignored, folders_only, _ in pattern.ignore_spec if not folders_only]
    rules.reverse()

    def is_kept(name: str) -> bool:
        path = above + name
        for match, ignored in rules:
            if match(path):
                return not ignored
        return True

    return filter(is_kept, names)


def _manifest_hash(top: str, files: dict[str, str]) -> str:
    """Return the hash of the manifest that DVC writes of these files."""
    start = len(top) + 1
    entries = (
        f'{{"md5": "{files[path]}", "relpath": {encode_basestring_ascii(path[start:])}}}' for path in sorted(files)
    )
    content = f"[{', '.join(entries)}]".encode()
    return f"{hashlib.md5(content, usedforsecurity=False).hexdigest()}.dir"
