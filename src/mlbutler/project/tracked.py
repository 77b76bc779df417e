"""Refuse a project in which Git tracks files that only mlbutler and DVC may write.

A commit with files below ``.mlbutler`` or in DVC's cache could make mlbutler believe what it has not seen: that all is
on the remote, or what a stage made. So whatever Git tracks there, also a link or a submodule, is refused before any of
it is read.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from mlbutler.errors import UsageError
from mlbutler.first_few import first_few
from mlbutler.git import Git

OWN = (".mlbutler", ".dvc/cache", ".dvc/tmp")
# What a store's folder holds, where that is a folder of the project that holds other things too.
_OF_STORES = ("files", "runs", "mlbutler")
_SHOWN = 3


def refuse_tracked(git: Git, root: Path, mirror: Path | None) -> None:
    """Refuse a project in which Git tracks anything in mlbutler's folder, DVC's cache or the mirror.

    Args:
        git: at `root`, the project's.

    Raises:
        UsageError: Git tracks something there.
    """
    folders = [*OWN, *_stores(root, mirror)]
    # A link or a submodule in place of .dvc would bring a cache with it, which Git then lists nowhere.
    asked = [f":(icase,literal){path}" for path in (*folders, ".dvc")]
    listed = git.run("ls-files", "-z", "--cached", "--", *asked).out.decode("utf-8", "surrogateescape")
    found = [path for path in listed.split("\0") if path and (path.lower() == ".dvc" or _lies_in(path, folders))]
    if not found:
        return
    named = first_few([_printable(path) for path in found], _SHOWN)
    inside = [folder for folder in folders if any(_lies_in(path, [folder]) for path in found)] or [".dvc"]
    command = " ".join(shlex.quote(folder) for folder in dict.fromkeys(inside))
    raise UsageError(
        f"Git tracks {named}: what mlbutler and DVC remember of a clone is not taken from a commit.",
        f"git rm -r --cached {command}, and commit that.",
    )


def _lies_in(path: str, folders: list[str]) -> bool:
    path = path.lower()
    return any(path == folder.lower() or path.startswith(f"{folder.lower()}/") for folder in folders)


def _printable(path: str) -> str:
    return path.encode("ascii", "backslashreplace").decode() if not path.isprintable() else path


def _stores(root: Path, mirror: Path | None) -> Iterator[str]:
    """Yield the folders of the work tree that are configured as DVC's cache, a remote or the mirror."""
    from mlbutler.remotes.trust import configured_directories

    for place in [*configured_directories(root), *([mirror] if mirror is not None else [])]:
        relative = os.path.relpath(os.path.normpath(root / place), root).replace(os.sep, "/")
        if relative == ".":
            yield from _OF_STORES
        elif not relative.startswith("../") and relative != "..":
            yield relative
