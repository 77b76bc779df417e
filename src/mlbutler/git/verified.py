"""Reading Git's objects and checking that their content matches their id.

Code that can write ``.git/objects`` can put any content under any id, and git does not check it. Once the project's
own code has run in the clone, what decides where credentials go, and what mlbutler pushes, is read through here.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence

from mlbutler.errors import GitError
from mlbutler.git.batch import read_named
from mlbutler.git.command import GitCommand
from mlbutler.git.tree import TreeEntry

_TREE, _LONG = "40000", 64


def read_objects(git: GitCommand, oids: Iterable[str]) -> dict[str, bytes]:
    """Read the contents of those objects that exist.

    Raises:
        GitError: an object's content does not match its id.
    """
    return _verify(read_named(git, tuple(dict.fromkeys(oids))))


def _verify(objects: Iterable[tuple[str, str, bytes, bytes]]) -> dict[str, bytes]:
    """Return id -> content of what `read_named` yields."""
    found = {}
    for _, oid, kind, content in objects:
        made = hashlib.sha256 if len(oid) == _LONG else hashlib.sha1
        if made(b"%s %d\0%s" % (kind, len(content), content)).hexdigest() != oid:
            raise GitError(
                f"The content of object {oid} in this clone does not match its id.",
                "Something wrote into .git/objects: build in a fresh clone, and see what the change's code does.",
            )
        found[oid] = content
    return found


def file_at(git: GitCommand, commit: str, path: str) -> bytes | None:
    """Return a file's content at a commit, None when it is not there.

    Raises:
        GitError: as `read_objects`.
    """
    return files_at(git, commit, [path])[path]


def files_at(git: GitCommand, commit: str, paths: Sequence[str]) -> dict[str, bytes | None]:
    """Return path -> the file's content at a commit, None when it is not there.

    Raises:
        GitError: as `read_objects`.
    """
    # All at once; which object is which is then said by the contents, and not by how git finds them.
    split = {path: path.split("/") for path in paths}
    below = ("/".join(parts[:length]) for parts in split.values() for length in range(len(parts) + 1))
    names = [commit, *(f"{commit}:{path}" for path in dict.fromkeys(below))]
    found = _verify(read_named(git, [name for name in names if "\n" not in name]))

    def content(oid: str) -> bytes | None:
        return found[oid] if oid in found else read_objects(git, [oid]).get(oid)

    def at(parts: Sequence[str]) -> bytes | None:
        mode, oid = _TREE, _tree_of(content(commit) or b"")
        for name in parts:
            inside = entries(content(oid) or b"", len(oid)) if mode == _TREE else ()
            there = {entry: (mode, below) for mode, entry, below in inside}
            if name not in there:
                return None
            mode, oid = there[name]
        return None if mode == _TREE else content(oid)

    return {path: at(parts) for path, parts in split.items()}


def tree(git: GitCommand, commit: str) -> dict[str, TreeEntry]:
    """Return path -> entry for all files of a commit.

    Raises:
        GitError: as `read_objects`.
    """
    found: dict[str, TreeEntry] = {}
    folders = [("", _tree_of(read_objects(git, [commit]).get(commit, b"")))]
    while folders:
        contents, deeper = read_objects(git, [oid for _, oid in folders]), []
        for prefix, oid in folders:
            for mode, name, below in entries(contents.get(oid, b""), len(oid)):
                path = f"{prefix}{name}"
                if mode == _TREE:
                    deeper.append((f"{path}/", below))
                else:
                    found[path] = TreeEntry(mode, below, path)
        folders = deeper
    return found


def is_ancestor(git: GitCommand, old: str, new: str) -> bool:
    """Return whether `old` is reachable from `new` by the parents in the commits' own content.

    Raises:
        GitError: as `read_objects`.
    """
    if old == new:
        return True
    between = git.run("rev-list", new, f"^{old}", check=False).text.split()
    commits = read_objects(git, [new, *between])
    left, seen = [new], set()
    while left:
        one = left.pop()
        if one == old:
            return True
        if one not in seen:
            seen.add(one)
            left += parents(commits.get(one, b""))
    return False


def parents(commit: bytes) -> list[str]:
    """Return the ids of the parents that a commit's content names."""
    lines = commit.partition(b"\n\n")[0].split(b"\n")
    return [line[len(b"parent ") :].decode() for line in lines if line.startswith(b"parent ")]


def _tree_of(commit: bytes) -> str:
    first = commit.partition(b"\n")[0]
    return first.removeprefix(b"tree ").decode("ascii", "replace") if first.startswith(b"tree ") else ""


def entries(content: bytes, length: int) -> Iterator[tuple[str, str, str]]:
    """Yield mode, name and id of each entry of a tree."""
    at, size = 0, length // 2
    while at < len(content):
        space, end = content.index(b" ", at), content.index(b"\0", at)
        oid = content[end + 1 : end + 1 + size].hex()
        yield content[at:space].decode(), os.fsdecode(content[space + 1 : end]), oid
        at = end + 1 + size
