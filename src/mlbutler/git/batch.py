"""Read the contents of many of Git's objects through one process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlbutler.git.command import GitCommand


def read_objects(git: GitCommand, oids: Sequence[str]) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield (id, type, content) of each of the objects that exists, by ``git cat-file --batch``.

    Raises:
        GitError: git failed.
    """
    return ((oid, kind, content) for oid, _, kind, content in read_named(git, oids))


def read_named(git: GitCommand, names: Sequence[str]) -> Iterator[tuple[str, str, bytes, bytes]]:
    """Yield (name, id, type, content) of each of the objects that exists; ``commit:path`` is a name, without newlines.

    Raises:
        GitError: git failed.
    """
    if not names:
        return
    asked = "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")
    out = git.run("cat-file", "--batch", input=asked).out
    at = 0
    for name in names:
        end = out.index(b"\n", at)
        head, at = out[at:end].split(b" "), end + 1
        if len(head) != 3 or not head[2].isdigit():  # "... missing"
            continue
        size = int(head[2])
        yield name, head[0].decode(), head[1], out[at : at + size]
        at += size + 1
