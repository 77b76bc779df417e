"""Read the contents of many of Git's objects through one process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlbutler.git.command import GitCommand


def read_objects(git: GitCommand, oids: Sequence[str]) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield (id, type, content) of each of the objects that exists, by ``git cat-file --batch``.

    Raises:
        GitError: git failed.
    """
    if not oids:
        return
    out = git.run("cat-file", "--batch", input="".join(f"{oid}\n" for oid in oids).encode()).out
    at = 0
    for oid in oids:
        end = out.index(b"\n", at)
        head, at = out[at:end].split(b" "), end + 1
        if len(head) != 3:  # "... missing"
            continue
        size = int(head[2])
        yield oid, head[1], out[at : at + size]
        at += size + 1
