"""Git's objects, believed only where their content has the id that they are kept under.

Code that can write ``.git/objects`` can put any content under any id, and git does not look. What decides where
credentials go, and what is pushed in our name, is read from here, once the project's own code has run in the clone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator

from mlbutler.errors import GitError
from mlbutler.git.command import GitCommand
from mlbutler.git.tree import TreeEntry

_TREE, _LONG = "40000", 64


def read(git: GitCommand, oids: Iterable[str]) -> dict[str, bytes]:
    """The contents of objects that are there.

    Raises:
        GitError: one has another content than its id says.
    """
    asked = tuple(dict.fromkeys(oids))
    if not asked:
        return {}
    out = git.run("cat-file", "--batch", input="".join(f"{oid}\n" for oid in asked).encode()).out
    found, at = {}, 0
    for oid in asked:
        end = out.index(b"\n", at)
        head = out[at:end].split(b" ")
        if len(head) != 3:  # "... missing"
            at = end + 1
            continue
        size = int(head[2])
        content = out[end + 1 : end + 1 + size]
        made = hashlib.sha256 if len(oid) == _LONG else hashlib.sha1
        if made(b"%s %d\0%s" % (head[1], size, content)).hexdigest() != oid:
            raise GitError(
                f"The object {oid} in this clone is not what its id says.",
                "Something wrote into .git/objects: build in a fresh clone, and see what the change's code does.",
            )
        found[oid] = content
        at = end + 1 + size + 1
    return found


def file(git: GitCommand, commit: str, path: str) -> bytes | None:
    """Content of a file at a commit, None when it is not there.

    Raises:
        GitError: as `read`.
    """
    oid = _tree_of(read(git, [commit]).get(commit, b""))
    for name in path.split("/"):
        entries = {entry: (mode, below) for mode, entry, below in _entries(read(git, [oid]).get(oid, b""), len(oid))}
        if name not in entries:
            return None
        mode, oid = entries[name]
    return None if mode == _TREE else read(git, [oid]).get(oid)


def tree(git: GitCommand, commit: str) -> dict[str, TreeEntry]:
    """Path -> entry, for all files of a commit.

    Raises:
        GitError: as `read`.
    """
    found: dict[str, TreeEntry] = {}
    folders = [("", _tree_of(read(git, [commit]).get(commit, b"")))]
    while folders:
        contents, deeper = read(git, [oid for _, oid in folders]), []
        for prefix, oid in folders:
            for mode, name, below in _entries(contents.get(oid, b""), len(oid)):
                path = f"{prefix}{name}"
                if mode == _TREE:
                    deeper.append((f"{path}/", below))
                else:
                    found[path] = TreeEntry(mode, below, path)
        folders = deeper
    return found


def is_ancestor(git: GitCommand, old: str, new: str) -> bool:
    """Is `old` reachable from `new`, by the parents that the commits themselves name?

    Raises:
        GitError: as `read`.
    """
    if old == new:
        return True
    between = git.run("rev-list", new, f"^{old}", check=False).text.split()
    commits = read(git, [new, *between])
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
    """Ids of the parents that a commit's content names."""
    lines = commit.partition(b"\n\n")[0].split(b"\n")
    return [line[len(b"parent ") :].decode() for line in lines if line.startswith(b"parent ")]


def _tree_of(commit: bytes) -> str:
    first = commit.partition(b"\n")[0]
    return first.removeprefix(b"tree ").decode("ascii", "replace") if first.startswith(b"tree ") else ""


def _entries(content: bytes, length: int) -> Iterator[tuple[str, str, str]]:
    """Mode, name and id of each entry of a tree."""
    at, size = 0, length // 2
    while at < len(content):
        space, end = content.index(b" ", at), content.index(b"\0", at)
        oid = content[end + 1 : end + 1 + size].hex()
        yield content[at:space].decode(), os.fsdecode(content[space + 1 : end]), oid
        at = end + 1 + size
