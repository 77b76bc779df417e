"""Mark the directories that are mirrors, whose objects may be evicted: those that mlbutler made or a user named.

A directory of objects does not say whether it is a mirror, of which all can come again, or a DVC remote, which may hold
the only copy. Builds leave the same files of ours in both when a remote is used as a mirror. So eviction asks for a
mark, which is written when a mirror is begun: no directory, or none with an object in it. The mark holds the
directory's inode, so that a copy of a mirror that becomes a remote has none.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from mlbutler.atomic import write
from mlbutler.errors import EXIT_USAGE, DiskFull, StoreError
from mlbutler.parsing import Unreadable, parse_json
from mlbutler.shared_folders import make_folder, share
from mlbutler.store.files import explain_os_error

MARK = Path("mlbutler") / "mirror.json"
_BEFORE_OBJECTS = {"mlbutler", "lost+found"}


class UnmarkedMirror(StoreError):
    """Nothing says that a directory is a mirror and no DVC remote: nothing is evicted."""

    exit_code = EXIT_USAGE


def mark_if_empty(mirror: Path) -> None:
    """Mark a directory as a mirror if it does not exist or holds no object yet; leave any other unmarked."""
    with suppress(OSError, StoreError, DiskFull):
        if not mirror.exists() or _holds_nothing(mirror):
            _write(mirror)


def adopt(mirror: Path, remotes: Iterable[Path]) -> None:
    """Mark a directory that somebody says is a mirror.

    Raises:
        UnmarkedMirror: it is a DVC remote of the project. StoreError, DiskFull: it cannot be written.
    """
    _require_no_remote(mirror, remotes)
    if not mirror.is_dir():
        raise StoreError(f"There is no mirror at {mirror}.", "Check data.mirror, or --mirror.")
    try:
        _write(mirror)
    except OSError as error:
        raise explain_os_error(error, "marking the mirror", mirror) from error


def require_mirror(mirror: Path, remotes: Iterable[Path]) -> None:
    """Refuse a directory that is not marked as a mirror, or that is a DVC remote of the project.

    Args:
        remotes: the project's DVC remotes that are directories.

    Raises:
        UnmarkedMirror: it is none.
    """
    _require_no_remote(mirror, remotes)
    if mirror.is_dir() and not is_marked(mirror) and not _holds_nothing(mirror):
        again = f"mlbutler store prune --mirror {mirror} --adopt {mirror.absolute()}"
        raise UnmarkedMirror(
            f"Nothing is evicted from {mirror}: it holds no mark of a mirror that mlbutler made, and could be a DVC "
            "remote.",
            f"If no project has its DVC remote there: {again}",
        )


def is_marked(mirror: Path) -> bool:
    """Tell whether mlbutler made this directory, or somebody confirmed that it is a mirror."""
    try:
        content = parse_json((mirror / MARK).read_bytes())
        return isinstance(content, dict) and content.get("inode") == mirror.stat().st_ino
    except (OSError, Unreadable):
        return False


def _holds_nothing(mirror: Path) -> bool:
    with os.scandir(mirror) as entries:
        return {entry.name for entry in entries} <= _BEFORE_OBJECTS


def _write(mirror: Path) -> None:
    make_folder(mirror / MARK.parent)
    write(mirror / MARK, b'{"inode": %d}\n' % mirror.stat().st_ino)
    with suppress(OSError):
        share(mirror / MARK)


def _require_no_remote(mirror: Path, remotes: Iterable[Path]) -> None:
    for remote in remotes:
        if _encloses(mirror, remote) or _encloses(remote, mirror):
            raise UnmarkedMirror(
                f"Nothing is evicted from {mirror}: a DVC remote of this project is {remote}.",
                "Let data.mirror (MLBUTLER_DATA_MIRROR) name a directory of its own.",
            )


def _encloses(outer: Path, inner: Path) -> bool:
    """Tell whether `inner` is the directory `outer`, or below it, by whatever names."""
    try:
        at = outer.stat()
    except OSError:
        return inner.absolute().is_relative_to(outer.absolute())
    for place in (inner.resolve(), *inner.resolve().parents):
        with suppress(OSError):
            if os.path.samestat(place.stat(), at):
                return True
    return False
