"""Refuse to write a path below the project's root through a symbolic link that may have come with a change.

A pull request can commit ``up -> /outside`` and have an output at ``up/file``. Every writer asks here first; so do the
verbs before they call DVC, which follows such links.

- A link that Git tracks is never written through, no matter who runs mlbutler or where the link leads.
- On a CI server no other is either: nobody but an earlier build made it. On a laptop it is the user's own arrangement,
  such as data on another disk.
- ``.dvc/cache``, ``cache.dir`` and ``data.mirror`` may be links that Git does not track, on a CI server too: disks are
  shared so.
- ``.mlbutler`` and what mlbutler keeps there are never links.
- What lies above the root is the machine's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from mlbutler.errors import PathRefused, UsageError
from mlbutler.first_few import first_few
from mlbutler.git import Git

STATE = ".mlbutler"
_LOCKS = ("lock", ".lock")
_NOT_OURS = ("aside", "scratch")
"""Folders in `STATE` that hold copies of the project's own files, links among them."""


class Symlinks:
    """The links of one work tree.

    Args:
        root: the project's root. git: there. every: refuse links that Git does not track too.
    """

    def __init__(self, root: Path, git: Git, *, every: bool) -> None:
        self._root, self._git, self._every = root, git, every

    def refused_links(self, paths: Iterable[str], *, untracked: bool | None = None) -> dict[str, str]:
        """Map path -> the link on its way that it must not be written through; paths are relative to the root.

        The path itself counts where it is a link that Git tracks, or one to a folder.

        Args:
            untracked: refuse links that Git does not track (default: as the work tree has it).
        """
        known: dict[str, bool] = {}
        found = {path: link for path in paths if (link := self._first(path, known)) is not None}
        if not found:
            return {}
        every = self._every if untracked is None else untracked
        tracked = self._git.tracked_links(dict.fromkeys(found.values()))
        return {
            path: link
            for path, link in found.items()
            if link in tracked or (every and (link != path or os.path.isdir(self._root / link)))  # noqa: PTH112
        }

    def check(self, paths: Iterable[str], *, untracked: bool | None = None) -> None:
        """Raise for the first path that must not be written.

        Raises:
            PathRefused: a link is on its way.
        """
        for path, link in self.refused_links(paths, untracked=untracked).items():
            raise refusal({path: link})

    def check_inside(self, path: Path, *, untracked: bool | None = None) -> None:
        """Check an absolute path like `check`; one outside the project is not ours to judge."""
        with suppress(ValueError):
            self.check([path.relative_to(self._root).as_posix()], untracked=untracked)

    def check_folders(self) -> None:
        """Check the folders that mlbutler and DVC keep their own files in.

        Raises:
            PathRefused: one is a link, or holds one. UsageError: something else is in the place of one.
        """
        state = self._root / STATE
        if state.is_symlink():
            raise refusal({STATE: STATE})
        if os.path.lexists(state) and not state.is_dir():
            raise UsageError(
                f"{STATE} is not a folder: mlbutler keeps its own files there.", f"Move it: mv {STATE} NAME"
            )
        for name, status in _entries(state, below=lambda path: path not in _NOT_OURS):
            self._check_own(f"{STATE}/{name}", status)
        self.check([".dvc/tmp", *(f".dvc/tmp/{name}" for name, _ in _entries(self._root / ".dvc" / "tmp"))])
        self.check([".dvc/cache"], untracked=False)

    @staticmethod
    def _check_own(path: str, status: os.stat_result) -> None:
        if stat.S_ISLNK(status.st_mode):
            raise refusal({path: path})
        regular = stat.S_ISREG(status.st_mode)
        # A lock is opened for writing in place: another name of the file would be written as well.
        if path.endswith(_LOCKS) and (not regular or status.st_nlink > 1):
            what = "has a second name (a hard link)" if regular else "is not a file"
            raise UsageError(f"{path} {what}: mlbutler does not write there.", f"Remove it: rm -r {path}")

    def _first(self, path: str, known: dict[str, bool]) -> str | None:
        for part in _leading(path):
            if part not in known:
                known[part] = os.path.islink(self._root / part)  # noqa: PTH114
            if known[part]:
                return part
        return None


def refusal(found: dict[str, str]) -> PathRefused:
    """Return the error for paths that links are on the way of."""
    links = list(dict.fromkeys(found.values()))
    named = first_few(links)
    paths = [path for path, link in found.items() if path != link]
    what = "is a symbolic link" if len(links) == 1 else "are symbolic links"
    through = f"; {paths[0]} would be written through it" if paths else ""
    return PathRefused(
        f"{named} {what}{through}.",
        "Put a real folder or file there: mlbutler writes through no link that may have come with a change.",
    )


def _leading(path: str) -> Iterator[str]:
    """Yield ``a``, ``a/b``, ``a/b/c`` of ``a/b/c``."""
    parts = path.split("/")
    for end in range(1, len(parts) + 1):
        yield "/".join(parts[:end])


def _entries(folder: Path, below: Callable[[str], bool] = lambda path: False) -> Iterator[tuple[str, os.stat_result]]:
    """Yield names (relative to it) and statuses of what a folder holds.

    Of the folders in it those that `below` names are read too.
    """
    left = [""]
    while left:
        at = left.pop()
        try:
            with os.scandir(folder / at) as entries:
                found = [(f"{at}/{entry.name}" if at else entry.name, entry.stat(follow_symlinks=False))
                         for entry in entries]  # fmt: skip
        except OSError:  # absent, or gone meanwhile
            continue
        for name, status in found:
            yield name, status
            if stat.S_ISDIR(status.st_mode) and below(name):
                left.append(name)


def open_plain(path: Path) -> BinaryIO:
    """Open a file that the project's code may have put there.

    Raises:
        OSError: it is a link, which may lead to what that code cannot read, or no plain file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is not a regular file")
    return os.fdopen(descriptor, "rb")
