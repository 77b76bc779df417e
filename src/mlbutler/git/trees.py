"""Reading folders of many commits at once: a folder that several have in common is read once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from mlbutler.git.batch import read_objects
from mlbutler.git.command import GitCommand

_FOLDER, _LINK, _MODULE = b"40000", b"120000", b"160000"
_AT_ONCE = 20_000


class FolderEntry(NamedTuple):
    """Hold what a name in a folder leads to: a folder or a file, by its object's id."""

    folder: bool
    oid: str


class Trees:
    """The folders of one repository, each by the id of its tree object."""

    def __init__(self, git: GitCommand) -> None:
        self._git = git
        self._known: dict[str, Mapping[str, FolderEntry]] = {}

    def folders(self, roots: Iterable[str], path: str) -> dict[str, str]:
        """Map each tree to that of the folder `path` (``sub/folder/``, '' for itself); without those that have none."""
        found = {root: root for root in roots}
        for part in filter(None, path.split("/")):
            found = {root: entry.oid for root, entry in self._step(found, part).items() if entry.folder}
        return found

    def files(self, roots: Iterable[str], path: str) -> dict[str, str]:
        """Map each tree to the object id of the file `path` in it; without those that have none."""
        folder, _, name = path.rpartition("/")
        found = self._step(self.folders(roots, folder), name)
        return {root: entry.oid for root, entry in found.items() if not entry.folder}

    def matching_files(
        self, roots: Iterable[str], wanted: Callable[[str], bool]
    ) -> dict[str, tuple[tuple[str, str], ...]]:
        """Map each tree to (path, object id) of all files in and below it whose names are `wanted`."""
        roots = tuple(dict.fromkeys(roots))
        self._load_below(roots)
        known: dict[str, tuple[tuple[str, str], ...]] = {}
        return {root: self._match_below(root, wanted, known) for root in roots}

    def below(self, root: str, path: str) -> tuple[str, ...]:
        """Return the paths of all files below a folder, from there; none where it is no folder."""
        found = self.folders([root], path)
        if root not in found:
            return ()
        return tuple(file for file, _ in self.matching_files([found[root]], lambda _: True)[found[root]])

    def _match_below(
        self, tree: str, wanted: Callable[[str], bool], known: dict[str, tuple[tuple[str, str], ...]]
    ) -> tuple[tuple[str, str], ...]:
        if tree not in known:
            known[tree] = tuple(self._iter_matches(tree, wanted, known))
        return known[tree]

    def _iter_matches(
        self, tree: str, wanted: Callable[[str], bool], known: dict[str, tuple[tuple[str, str], ...]]
    ) -> Iterator[tuple[str, str]]:
        for name, entry in self._known.get(tree, {}).items():
            if entry.folder:
                yield from ((f"{name}/{path}", oid) for path, oid in self._match_below(entry.oid, wanted, known))
            elif wanted(name):
                yield name, entry.oid

    def _step(self, at: Mapping[str, str], name: str) -> dict[str, FolderEntry]:
        self._load(at.values())
        found = ((root, self._known.get(tree, {}).get(name)) for root, tree in at.items())
        return {root: entry for root, entry in found if entry is not None}

    def _load_below(self, roots: Iterable[str]) -> None:
        ahead = set(roots)
        seen: set[str] = set()
        while ahead:
            self._load(ahead)
            seen |= ahead
            ahead = {e.oid for tree in ahead for e in self._known.get(tree, {}).values() if e.folder} - seen

    def _load(self, oids: Iterable[str]) -> None:
        new = sorted({oid for oid in oids if oid not in self._known})
        for at in range(0, len(new), _AT_ONCE):
            for oid, kind, content in read_objects(self._git, new[at : at + _AT_ONCE]):
                self._known[oid] = dict(_entries(content, len(oid) // 2)) if kind == b"tree" else {}


def _entries(content: bytes, width: int) -> Iterator[tuple[str, FolderEntry]]:
    """Yield name and entry of a tree object; links and submodules are neither files nor folders.

    Args:
        width: bytes of an object's id.
    """
    at = 0
    while at < len(content):
        space = content.index(b" ", at)
        end = content.index(b"\0", space)
        mode, name = content[at:space], os.fsdecode(content[space + 1 : end])
        at = end + 1 + width
        if mode not in (_LINK, _MODULE):
            yield name, FolderEntry(mode == _FOLDER, content[end + 1 : at].hex())
