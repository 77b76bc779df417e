"""What lies in the work tree now: hashes of present files, taken by DVC so that its own state agrees."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mlbutler.errors import ProjectError
from mlbutler.project.directory_hash import hash_directory
from mlbutler.project.load import relative
from mlbutler.project.model import LEGACY_MD5, MD5, Recorded, Stages
from mlbutler.state.fingerprint import Fingerprints, TreeFingerprint, statuses
from mlbutler.state.hashes import HashCache
from mlbutler.state.segments import Segment
from mlbutler.store.interface import ObjectId

Manifest = Mapping[str, str]
"""Files of a directory: path inside it -> MD5."""

ReadManifest = Callable[[ObjectId], Manifest | None]
"""A manifest if it can be had, else None."""

_PARTIAL = "partial"


class NotListed(Exception):
    """The files of a directory that is needed for a hash are not known.

    Attributes:
        oid: the directory's manifest.
    """

    def __init__(self, oid: ObjectId) -> None:
        super().__init__(oid.key)
        self.oid = oid


class WorkTree:
    """Hashes of what is present, computed when asked and remembered.

    Args:
        root: the project's root. repo: the opened `dvc.repo.Repo`. stages: its stages as data.
        manifest: reads a directory manifest from wherever it can be had. hashes: of what need not be hashed again.
        fingerprints: shared with all that look at the same files.
    """

    def __init__(
        self, root: Path, repo: Any, stages: Stages, manifest: ReadManifest, hashes: HashCache,
        fingerprints: Fingerprints,
    ) -> None:  # fmt: skip
        self._known, self._fingerprints = hashes, fingerprints
        self.root, self._repo, self._stages, self._manifest = root, repo, stages, manifest
        self._items: dict[tuple[str, str], Any] = {}
        for stage in repo.index.stages:
            for item in (*stage.deps, *stage.outs):
                self._items.setdefault((relative(repo, item)[0], str(item.hash_name)), item)
        self._hashes: dict[tuple[str, str], Recorded | None] = {}
        self._partial = partial_directories(root)

    def exists(self, path: str) -> bool:
        """Tell whether it is in the work tree, and whole as far as mlbutler knows."""
        return path not in self._partial and _present(self.root / path)

    def hash(self, path: str, algorithm: str) -> Recorded | None:
        """Return the content's hash, None when it is absent.

        A directory that holds outputs of stages which are absent is taken with those as recorded.

        Raises:
            OSError: it cannot be read. ProjectError: it is, or holds, what is neither file nor folder, or has no name
            that DVC could record.
            NotListed: a directory that it holds is absent, and its manifest cannot be had.
        """
        key = (path, algorithm)
        if key not in self._hashes:
            self._hashes[key] = self._compute_hash(path, algorithm) if self.exists(path) else None
        return self._hashes[key]

    def _compute_hash(self, path: str, algorithm: str) -> Recorded | None:
        absent = [out for _, out in self._stages.inside(path) if not self.exists(out.path)]
        if absent:
            return self._compose_hash(path, algorithm, absent)
        if (known := self._known.get(path, algorithm)) is not None:
            return Recorded(*known)
        item = self._items.get((path, algorithm))
        if item is None:  # recorded elsewhere under the other flavour: any object with this path will do
            item = next((found for (where, _), found in self._items.items() if where == path), None)
        if item is None or item.protocol != "local":
            return None
        try:
            is_directory = algorithm == MD5 and _is_plain(item.fs_path, stat.S_ISDIR)
            return (self._in_bulk(path, item) if is_directory else None) or self._by_dvc(path, item, algorithm)
        except UnicodeError as error:  # of DVC's memory of hashes
            raise ProjectError(
                f"{path} is, or holds, a file whose name is not UTF-8: DVC cannot record it.",
                "Rename it: LC_ALL=C ls -R --escape shows its name.",
            ) from error

    def _in_bulk(self, path: str, item: Any) -> Recorded | None:
        if item.fs_path != str(self.root / path):
            return None
        fingerprint = TreeFingerprint(self.root, path)
        found = hash_directory(self._repo, item, fingerprint)
        if found is not None and (taken := fingerprint.result()) is not None:
            self._fingerprints.put(self.root, {path: taken})
        return found

    def _by_dvc(self, path: str, item: Any, algorithm: str) -> Recorded:
        from dvc_data.hashfile.hash import hash_file

        refuse_special(self.root, path)
        name, before = item.hash_name, item.hash_info
        try:
            item.hash_name = algorithm
            if _is_plain(item.fs_path, stat.S_ISREG):
                meta, info = hash_file(item.fs_path, item.fs, algorithm, self._repo.state)
            else:
                meta, info = item._get_hash_meta() if hasattr(item, "_get_hash_meta") else (item.meta, item.get_hash())
        finally:
            item.hash_name, item.hash_info = name, before
        return Recorded(info.name, info.value, getattr(meta, "size", None), getattr(meta, "nfiles", None))

    def _compose_hash(self, path: str, algorithm: str, absent: Iterable[Any]) -> Recorded | None:
        from dvc_data.hashfile.hash_info import HashInfo
        from dvc_data.hashfile.tree import Tree

        tree = Tree()
        for file in sorted((self.root / path).rglob("*")):
            relpath = file.relative_to(self.root / path).as_posix()
            if file.is_file() and not self._repo.dvcignore.is_ignored_file(str(file)):
                tree.add(tuple(relpath.split("/")), None, HashInfo(MD5, file_hash(file, algorithm)))
        for out in absent:
            if out.recorded is None:
                return None
            inside = tuple(out.path[len(path) + 1 :].split("/"))
            if out.recorded.oid is not None and out.recorded.oid.is_directory:
                entries = self._manifest(out.recorded.oid)
                if entries is None:
                    raise NotListed(out.recorded.oid)
                for name, md5 in entries.items():
                    tree.add((*inside, *name.split("/")), None, HashInfo(MD5, md5))
            else:
                tree.add(inside, None, HashInfo(MD5, out.recorded.value))
        tree.digest()
        return Recorded(algorithm, tree.hash_info.value)


def refuse_special(root: Path, path: str) -> None:
    """Raise where there is a pipe or a device: it has no content to hash, and reading one waits forever.

    Raises:
        ProjectError: there is one.
    """
    for name, status in statuses(str(root / path)):
        mode = status.st_mode
        if stat.S_ISLNK(mode) and Path(name).exists():
            mode = Path(name).stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
            shown = Path(name).relative_to(root).as_posix() if Path(name).is_relative_to(root) else name
            raise ProjectError(
                f"{shown} is neither a file nor a folder (a pipe, a socket or a device).",
                f"Remove it, or name it in .dvcignore: rm {shlex.quote(shown)}",
            )


def _is_plain(path: str, kind: Callable[[int], bool]) -> bool:
    return kind(os.lstat(path).st_mode)


def _present(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def file_hash(path: Path, algorithm: str) -> str:
    """Return the MD5 of a file, as DVC takes it by that algorithm.

    Raises:
        OSError: it cannot be read.
    """
    from dvc.fs import localfs
    from dvc_data.hashfile.hash import file_md5

    name = LEGACY_MD5 if algorithm == LEGACY_MD5 else MD5
    return str(file_md5(str(path), localfs, name=name))


def partial_directories(root: Path) -> frozenset[str]:
    """Return the directories of which only some files were brought: they must not be taken for changed ones."""
    return frozenset(_partial(root).read())


def note_partial(root: Path, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
    """Remember which directories are incomplete in the work tree."""
    segment, removed = _partial(root), set(remove)
    before = segment.read().keys()
    segment.append(dict.fromkeys(set(add) - removed - before, True) | dict.fromkeys(removed & before))


def _partial(root: Path) -> Segment:
    return Segment(root / ".mlbutler", _PARTIAL)
