"""Folders and files that several users of one machine share."""

from __future__ import annotations

import stat
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Create a folder and its parents; who may read or write its parent may do so in it, whatever the umask.

    Raises:
        OSError: it cannot be created.
    """
    try:
        try:
            folder.mkdir()
        except FileNotFoundError:
            make_folder(folder.parent)
            folder.mkdir()  # fails again in /proc, or on a share whose server is gone
    except FileExistsError:
        if not folder.is_dir():
            raise
        return
    share(folder)


def share(created: Path) -> None:
    """Let those who may read or write a folder do so with what was just created in it.

    Raises:
        OSError: its mode cannot be changed.
    """
    above = created.parent.stat().st_mode
    shared = above & (stat.S_ISGID | stat.S_IRWXG | stat.S_IROTH | stat.S_IXOTH)
    if above & stat.S_IWOTH and not above & stat.S_ISVTX:  # a folder like /tmp is not shared on purpose
        shared |= stat.S_IWOTH
    mode = created.stat().st_mode
    if not stat.S_ISDIR(mode):
        shared &= ~(stat.S_ISGID | stat.S_IXGRP | stat.S_IXOTH)
    if stat.S_IMODE(mode | shared) != stat.S_IMODE(mode):
        created.chmod(stat.S_IMODE(mode | shared))
