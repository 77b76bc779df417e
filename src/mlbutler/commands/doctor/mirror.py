"""Check the agent's mirror: may builds write there, on which file system is it, must objects be copied."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlbutler.commands.doctor.examined import MISSING, NOTE, OK, Examined
from mlbutler.linux import FileSystem, file_system
from mlbutler.steps.context import RunContext

# More than a file system keeps beside a file's name: only blocks can be shared.
_PROBE = bytes(64 * 1024)
_PASSING = {"overlay": "goes away with the container", "tmpfs": "is memory and goes away with the machine's restart"}


def mirror(context: RunContext) -> Examined:
    """Check that it can be written, as a whole and in its folders, and will last."""
    path = context.mirror
    if path is None:
        return Examined("mirror", NOTE, "none is set: every build downloads for itself", "Set data.mirror on agents.")
    if not context.trusted:
        return Examined("mirror", NOTE, f"a fork's change reads {path} and writes nothing there")
    try:
        path.mkdir(parents=True, exist_ok=True)
        with _probe(path):
            pass
    except OSError as error:
        return Examined("mirror", MISSING, f"{path} cannot be written: {error.strerror}", _remedy(error.errno))
    if (closed := _find_unwritable_folder(path)) is not None:
        text = f"{closed} belongs to {_owner(closed)} and cannot be written"
        return Examined("mirror", MISSING, text, _remedy(errno.EACCES))
    where = file_system(path)
    facts = {"path": str(path), "file_system": where.kind if where else "", "mount": where.mount if where else ""}
    text = f"{path} is writable" + (f", {_describe_file_system(where)}" if where else "")
    if where is not None and (passing := _PASSING.get(where.kind)):
        return Examined(
            "mirror", NOTE, f"{text}: it {passing}", f"Mount a volume at {path} (`mlbutler help mirror`).", facts
        )
    if path.resolve().is_relative_to(context.root.resolve()) and context.record.change.ci != "local":
        remedy = "Set data.mirror to a directory that the agent keeps (`mlbutler help mirror`)."
        return Examined("mirror", NOTE, f"{text}: it is inside the work tree, which a build removes", remedy, facts)
    return Examined("mirror", OK, text, facts=facts)


def _remedy(number: int | None) -> str:
    if number in (errno.ENOSPC, errno.EDQUOT):
        return "Make room: `mlbutler store prune --limit SIZE`, and set data.mirror_limit (`mlbutler help mirror`)."
    if number == errno.EROFS:
        return "Mount it for writing: it is mounted read-only (`mlbutler help mirror`)."
    if number in (errno.EEXIST, errno.ENOTDIR):
        return "Set data.mirror to a directory: a file is in its place."
    return f"Give {_describe_user()} the right (`mlbutler help mirror`)."


def _describe_file_system(where: FileSystem) -> str:
    return f"on {where.kind} at {where.mount}"


@contextmanager
def _probe(folder: Path) -> Iterator[Path]:
    """Write a file with content: a full disk still allows empty ones."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-", buffering=0) as file:
        file.write(_PROBE)
        os.fsync(file.fileno())  # some file systems find out here that nothing is left
        yield Path(file.name)


def _find_unwritable_folder(path: Path) -> Path | None:
    """Return the first folder of objects that this user cannot write into, as a build run by root leaves it."""
    top = path / "files" / "md5"
    try:
        folders = [top, *sorted(top.iterdir())]
    except FileNotFoundError:
        return None
    except OSError:
        return top
    return next((folder for folder in folders if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK)), None)


def _describe_user() -> str:
    return f"user {os.geteuid()}" if hasattr(os, "geteuid") else "this user"


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:  # a number without a name, as in containers
        return f"user {path.stat().st_uid}"


# -------------------------------------------------------------------------------------------- links


def links(context: RunContext) -> Examined:
    """Say how objects get from the mirror into the project's cache: by reflink, hardlink, or copied."""
    from mlbutler.remotes.opening import may_hardlink
    from mlbutler.shared_folders import make_folder

    path, cache = context.mirror, context.project.cache_dir
    if path is None:
        return Examined("links", NOTE, "there is no mirror to share objects with")
    if not context.trusted:
        return Examined("links", NOTE, "a fork's change clones objects where the file system can, else copies them")
    try:
        make_folder(cache)
        with _probe(path) as probe:
            reflink, hardlink = (_try_link(kind, probe, cache) for kind in ("reflink", "hardlink"))
    except OSError as error:
        return Examined("links", NOTE, f"not tried: {error.filename or path}: {error.strerror}")
    allowed = may_hardlink(context.project, trusted=context.trusted, link=context.settings.data.link)
    facts = {"reflink": not reflink, "hardlink": not hardlink}
    if not reflink:
        return Examined("links", OK, "objects are shared with the mirror by reflink", facts=facts)
    if not hardlink and allowed:
        return Examined("links", OK, "objects are shared with the mirror by hardlink", facts=facts)
    if not hardlink:
        why = (
            "data.link is 'copy'" if context.settings.data.link == "copy" else "root could write into hardlinked files"
        )
        return Examined("links", NOTE, f"objects are copied: {why}", facts=facts)
    remedy = "Use a file system with reflinks, such as XFS, or one mount for both of them (`mlbutler help mirror`)."
    return Examined("links", NOTE, f"objects are copied: {_explain_no_hardlink(path, cache, hardlink)}", remedy, facts)


def _try_link(kind: str, probe: Path, folder: Path) -> int:
    """Return 0 when the probe could be linked into the folder so, else the error's number.

    Raises:
        OSError: the folder cannot be written at all.
    """
    from mlbutler.store.files import duplicate

    target = folder / f".doctor-{kind}-{os.getpid()}"
    try:
        duplicate(kind, str(probe), str(target))
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EROFS):
            raise
        return error.errno or errno.EIO
    finally:
        target.unlink(missing_ok=True)
    return 0


def _explain_no_hardlink(path: Path, cache: Path, error: int) -> str:
    there, here = file_system(path), file_system(cache)
    if there is None or here is None or error != errno.EXDEV:
        return f"a hardlink from {path} to {cache} fails: {os.strerror(error)}"
    if path.stat().st_dev == cache.stat().st_dev:
        return f"mirror and cache are two mounts of one file system ({there.mount} and {here.mount})"
    return f"the mirror is {_describe_file_system(there)}, the cache {_describe_file_system(here)}"
