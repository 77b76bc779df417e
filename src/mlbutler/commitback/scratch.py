"""Use an index of our own: the author's stays as it is."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlbutler.frozen import frozen
from mlbutler.git import Git, TreeEntry

_GONE = "0" * 40


@frozen
class ScratchIndex:
    """A temporary index that began as a commit's tree. Paths are from the repository's root."""

    git: Git
    environ: Mapping[str, str]

    def add(self, paths: Iterable[str]) -> None:
        """Put files of the work tree in as Git stores them (filters, line ends, modes); missing ones leave."""
        listed = b"".join(os.fsencode(path) + b"\0" for path in paths)
        options = ["--add", "--remove", "--replace", "-z", "--stdin"]
        self.git.run("update-index", *options, input=listed, extra=self.environ)

    def set_entries(self, files: Mapping[str, TreeEntry | None]) -> None:
        """Put stored files in; None takes one out."""
        lines = []
        for path, entry in files.items():
            head = f"{entry.mode} {entry.oid}" if entry else f"0 {_GONE}"
            lines.append(f"{head}\t".encode() + os.fsencode(path) + b"\0")
        self.git.run("update-index", "--replace", "-z", "--index-info", input=b"".join(lines), extra=self.environ)

    def tree(self) -> str:
        """Write it as a tree object; returns its id."""
        return self.git.run("write-tree", extra=self.environ).text


@contextmanager
def scratch_index(git: Git, commit: str | None) -> Iterator[ScratchIndex]:
    """Open an index that holds the tree of `commit`, None: nothing. `git` runs at the repository's root."""
    with tempfile.TemporaryDirectory(prefix="mlbutler-index-") as folder:
        environ = {"GIT_INDEX_FILE": os.fspath(Path(folder, "index"))}
        git.run("read-tree", commit or "--empty", extra=environ)
        yield ScratchIndex(git, environ)
