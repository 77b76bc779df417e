"""Write many Git objects of any kind by one process: as a pack, which Git unpacks.

Their ids are known before, so that a tree can name a file, and a commit a tree, that is written with it.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence

from mlbutler.git.command import GitCommand
from mlbutler.git.tree import TreeEntry

_KINDS = {"commit": 1, "tree": 2, "blob": 3}
_LONG = 64
FOLDER = "40000"
_MORE = 0x80


class NewObjects:
    """Objects that `write` writes.

    Args:
        like: the id of an object of the same repository.
    """

    def __init__(self, like: str) -> None:
        self._hash = hashlib.sha256 if len(like) == _LONG else hashlib.sha1
        self._new: dict[str, tuple[str, bytes]] = {}

    def blob(self, content: bytes) -> str:
        """Add a file's content; return its id, as the other methods do."""
        return self._add("blob", content)

    def tree(self, entries: Iterable[TreeEntry]) -> str:
        """Add a folder; the paths of its entries are their names in it."""
        ordered = sorted(entries, key=lambda entry: os.fsencode(entry.path) + b"/" * (entry.mode == FOLDER))
        lines = (f"{one.mode} ".encode() + os.fsencode(one.path) + b"\0" + bytes.fromhex(one.oid) for one in ordered)
        return self._add("tree", b"".join(lines))

    def commit(self, tree: str, parents: Sequence[str], message: str, author: Mapping[str, str], date: str) -> str:
        """Add a commit, as ``git commit-tree`` makes it.

        Args:
            author: with the variables in which Git takes names and addresses. date: seconds and zone.
        """
        lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
        lines += [f"{role} {author[f'GIT_{role.upper()}_NAME']} <{author[f'GIT_{role.upper()}_EMAIL']}> {date}"
                  for role in ("author", "committer")]  # fmt: skip
        return self._add("commit", "\n".join((*lines, "", message, "")).encode())

    def _add(self, kind: str, content: bytes) -> str:
        oid = self._hash(f"{kind} {len(content)}\0".encode() + content).hexdigest()
        self._new[oid] = kind, content
        return oid

    def write(self, git: GitCommand, *, check: bool = True) -> None:
        """Write what was added.

        Args:
            check: refuse what ``git fsck`` would complain of.

        Raises:
            GitError: git failed, or (with `check`) one of them names an object that is not there.
        """
        if self._new:
            packed = [struct.pack(">4sII", b"PACK", 2, len(self._new))]
            packed += [_head(_KINDS[kind], len(content)) + zlib.compress(content, 1)
                       for kind, content in self._new.values()]  # fmt: skip
            pack = b"".join(packed)
            git.run("unpack-objects", "-q", *(["--strict"] if check else []), input=pack + self._hash(pack).digest())
            self._new.clear()


def _head(kind: int, size: int) -> bytes:
    """Return what stands before an object in a pack: its kind, and its size in groups of bits, the lowest first."""
    head, left = kind << 4 | size & 0xF, size >> 4
    found = bytearray()
    while left:
        found.append(head | _MORE)
        head, left = left & 0x7F, left >> 7
    found.append(head)
    return bytes(found)
