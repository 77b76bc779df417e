"""Which files are opened and which folders are listed below a folder, while something is read."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

_CODE = (".py", ".pyc", ".so", ".pth", ".egg-link")
OWN = (".mlbutler", ".git", ".dvc/tmp", ".dvc/cache")
"""What mlbutler, Git and DVC write themselves: it tells nothing of a project."""

Names = frozenset[tuple[str, str]]
"""Of what lies in a folder, and whether it is a file, a folder or a link."""

_OWN_FOLDERS = tuple(f"{own}/" for own in OWN)
_recorders: list[ReadRecorder] = []
_here = threading.local()
_installed = False


class ReadRecorder:
    """Files that were opened and folders that were listed below `root` while `recording`.

    Attributes:
        files: their paths. folders: path -> the names in it, right before it was listed for the first time.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._top = root, f"{root}{os.sep}"
        self.files: dict[str, None] = {}
        self.folders: dict[str, Names] = {}

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Take note of what is read meanwhile."""
        global _installed
        if not _installed:  # one for the process: it can never be removed
            sys.addaudithook(_hook)
            _installed = True
        _recorders.append(self)
        try:
            yield
        finally:
            _recorders.remove(self)

    def note(self, event: str, path: str) -> None:
        """Take note of a file that is about to be opened, or a folder that is about to be listed."""
        name = os.path.abspath(path)  # noqa: PTH100 - links stay links
        if not (name + os.sep).startswith(self._top) or name.endswith(_CODE):
            return
        inside = name[len(self._top) :]
        if inside.startswith(_OWN_FOLDERS) or inside in OWN:
            return
        if event == "open":
            self.files[inside] = None
        elif inside not in self.folders:
            self.folders[inside] = names_in(self._root, inside)


@contextmanager
def pause_recording() -> Iterator[None]:
    """Take no note of what this thread reads meanwhile: files below a path whose fingerprint is taken."""
    before, _here.busy = getattr(_here, "busy", False), True
    try:
        yield
    finally:
        _here.busy = before


def _hook(event: str, args: tuple[object, ...]) -> None:
    if not _recorders or event not in ("open", "os.scandir", "os.listdir") or getattr(_here, "busy", False):
        return
    if isinstance(path := args[0], str | bytes):
        _here.busy = True
        try:
            for recorder in tuple(_recorders):
                recorder.note(event, os.fsdecode(path))
        finally:
            _here.busy = False


def names_in(root: Path, folder: str) -> Names:
    """Return the names in a folder, with what each is; none where it is no folder."""
    try:
        with os.scandir(root / folder) as entries:
            return frozenset((entry.name, _kind(entry)) for entry in entries)
    except OSError:
        return frozenset()


def digest_of_others(names: Names, folder: str, tracked: Collection[str]) -> str:
    """Return a digest of the names in a folder that lead to no tracked path.

    Args:
        tracked: paths, and all folders above them.
    """
    prefix = f"{folder}/" if folder else ""
    others = sorted(f"{name}\0{kind}" for name, kind in names if f"{prefix}{name}" not in tracked)
    return hashlib.sha256("\0".join(others).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _kind(entry: os.DirEntry[str]) -> str:
    return "link" if entry.is_symlink() else "folder" if entry.is_dir(follow_symlinks=False) else "file"
