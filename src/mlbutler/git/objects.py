"""Reading many of Git's objects at once: files of commits through one process, and a branch's commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlbutler.frozen import frozen
from mlbutler.git import Git
from mlbutler.git.batch import read_objects

_FORMAT = "%H%x00%cI%x00%an%x00%s"


@frozen
class Blob:
    """Hold a file at a commit. `size` in bytes; `content` is None where the file was too large to be read."""

    oid: str
    size: int
    content: bytes | None


@frozen
class Commit:
    """Hold one commit. `when`: the committer's time, ISO 8601 with its zone."""

    oid: str
    when: str
    author: str
    subject: str


def read_blobs(git: Git, names: Sequence[str], largest: int) -> dict[str, Blob]:
    """Read the files called ``commit:path`` (path from the repository's root), those that exist.

    The same content under several names is read, and kept, once.

    Args:
        largest: files of more bytes than this come without their content.

    Raises:
        GitError: git failed.
    """
    found = _find_files(git, names)
    wanted = sorted({oid for oid, size in found.values() if size <= largest})
    contents = {oid: content for oid, _, content in read_objects(git, wanted)}
    return {name: Blob(oid, size, contents.get(oid)) for name, (oid, size) in found.items()}


def _find_files(git: Git, names: Sequence[str]) -> Mapping[str, tuple[str, int]]:
    """Return name -> (object id, size) for the names that are files."""
    oneline = [name for name in dict.fromkeys(names) if "\n" not in name]
    answers = _batch_check(git, oneline)
    for name in dict.fromkeys(names):
        if "\n" in name:  # the batch ends a name at the line's end
            oid = git.run("rev-parse", "--verify", "--quiet", name, check=False)
            if oid.code == 0:
                answers.update((name, found) for found in _batch_check(git, [oid.text]).values())
    return answers


def _batch_check(git: Git, names: Sequence[str]) -> dict[str, tuple[str, int]]:
    if not names:
        return {}
    asked = "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")
    lines = git.run("cat-file", "--batch-check=%(objecttype) %(objectname) %(objectsize)", input=asked).out.split(b"\n")
    answers = {}
    for name, line in zip(names, lines, strict=False):
        kind, _, rest = line.partition(b" ")
        if kind == b"blob":
            oid, _, size = rest.partition(b" ")
            answers[name] = (oid.decode(), int(size))
    return answers


def first_parents(git: Git, rev: str, limit: int) -> tuple[Commit, ...]:
    """Return the last `limit` commits of a branch, newest first, following first parents only.

    Raises:
        GitError: there is no such revision.
    """
    args = ("log", "--first-parent", "-z", f"--max-count={limit}", f"--format={_FORMAT}", "--end-of-options", rev, "--")
    parts = git.run(*args).out.decode("utf-8", "replace").split("\0")
    # -z ends commits with the same character that stands between their fields
    fields = parts[: len(parts) // 4 * 4]
    return tuple(Commit(*fields[at : at + 4]) for at in range(0, len(fields), 4))
