"""Moving one file's bytes on this machine: reflink, hardlink or copy."""

from __future__ import annotations

import errno
import itertools
import os
import secrets
import stat
import sys
from contextlib import suppress
from pathlib import Path

from mlbutler.errors import DiskFull, MlbutlerError, StoreError
from mlbutler.store.interface import Counter

_FICLONE = 0x40049409
_STEP = 16 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NOT_HERE = (
    errno.EXDEV,
    errno.EOPNOTSUPP,
    errno.EINVAL,
    errno.ENOSYS,
    errno.ENOTTY,
    errno.EPERM,
    errno.EBADF,
)
_SENDS = sys.platform == "linux"
"""Does ``sendfile`` write into files, and read from where the file stands?"""
_WRITE_BITS = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
OBJECT_MODE = 0o444


_OURS = secrets.token_urlsafe(12)
_NUMBERS = itertools.count()


def temporary_name() -> str:
    """Return a file name that nobody else uses, of the form that DVC gives to its own unfinished files."""
    return f".{_OURS}{os.getpid()}-{next(_NUMBERS)}.tmp"


def temporary(final: Path) -> Path:
    """Return a name beside `final` that nobody else uses."""
    return final.with_name(temporary_name())


class Links:
    """How files get from one folder to another: the cheapest way that works, found out once.

    Args:
        hardlink: both places may share one file. Only where nobody writes into it in place.
    """

    def __init__(self, hardlink: bool) -> None:
        self._hardlink = hardlink
        self._reflink = True

    @property
    def at_once(self) -> bool:
        """Tell whether a hardlink is the way to go."""
        return self._hardlink and not self._reflink

    def link(self, source: str, final: str) -> bool:
        """Give `source` a second name at once, where hardlinks are known to work; return False elsewhere.

        Raises:
            FileNotFoundError: `source`, or the folder of `final`, is missing.
        """
        if not self.at_once:
            return False
        try:
            os.link(source, final)
        except FileNotFoundError:
            raise
        except OSError:  # `bring` finds out what is the matter
            return False
        return True

    def bring(self, source: Path, destination: Path, count: Counter) -> None:
        """Make `destination` (which must not exist) hold the bytes of `source`.

        Raises:
            OSError: it cannot be read or written; `destination` may be left unfinished.
        """
        if self._reflink and self._clone(source, destination):
            count(destination.stat().st_size)
            return
        if self._hardlink:
            try:
                os.link(source, destination)
            except FileNotFoundError:
                raise
            except OSError as error:  # other file system, too many links, not ours to link: copy instead
                if error.errno in (errno.EXDEV, errno.EOPNOTSUPP):
                    self._hardlink = False
            else:
                count(destination.stat().st_size)
                return
        copy(source, destination, count)

    def _clone(self, source: Path, destination: Path) -> bool:
        try:
            import fcntl
        except ImportError:
            self._reflink = False
            return False
        with source.open("rb") as reader:
            if os.fstat(reader.fileno()).st_size == 0:
                return False
            with destination.open("xb") as writer:
                try:
                    fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
                except OSError as error:
                    if error.errno in _FULL:
                        raise
                    self._reflink = False
                else:
                    return True
        destination.unlink()
        return False


def copy(source: Path, destination: Path, count: Counter) -> None:
    """Copy bytes in steps; `count` is called with the bytes of each and may raise to stop.

    Raises:
        OSError: it cannot be read or written.
    """
    with source.open("rb", buffering=0) as reader, destination.open("wb", buffering=0) as writer:
        left = os.fstat(reader.fileno()).st_size
        try:
            while left > 0:
                done = os.copy_file_range(reader.fileno(), writer.fileno(), min(left, _STEP))
                if done == 0:
                    break
                left -= done
                count(done)
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
        except AttributeError:  # not on this operating system
            pass
        while block := reader.read(1 << 20):  # the rest, or all where the kernel cannot copy
            view = memoryview(block)
            while view:
                view = view[writer.write(view) :]
            count(len(block))


def write_object(path: str, content: bytes) -> os.stat_result:
    """Write a small object as the file `path`, over one that is there, read-only at once; return its status.

    Raises:
        OSError: it cannot be written; `path` may be left unfinished.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        handle = os.open(path, flags, OBJECT_MODE)
    except FileExistsError:
        os.unlink(path)  # noqa: PTH108
        handle = os.open(path, flags, OBJECT_MODE)
    try:
        written = os.write(handle, content)
        while written < len(content):
            written += os.write(handle, content[written:])
        return os.fstat(handle)
    finally:
        os.close(handle)


def duplicate(kind: str, source: str, target: str) -> None:
    """Make `target`, which must not exist, a ``reflink``, ``hardlink`` or ``copy`` of `source`.

    Raises:
        OSError: that cannot be done here; `target` may be left unfinished.
    """
    if kind == "hardlink":
        os.link(source, target)
        return
    reader = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            if kind == "reflink":
                import fcntl

                fcntl.ioctl(writer, _FICLONE, reader)
            else:
                _copy_all(reader, writer)
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _copy_all(reader: int, writer: int) -> None:
    left = os.fstat(reader).st_size
    while left > 0:
        try:
            done = os.sendfile(writer, reader, None, min(left, _STEP)) if _SENDS else 0
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
            done = 0
        if done == 0:
            break
        left -= done
    while block := os.read(reader, 1 << 20):
        view = memoryview(block)
        while view:
            view = view[os.write(writer, view) :]


def replace(temporary_file: str | Path, final: str | Path, found: os.stat_result) -> None:
    """Give a finished file, whose status is `found`, its name, over whatever has it.

    Raises:
        OSError: the folder does not take it.
    """
    os.replace(temporary_file, final)  # noqa: PTH105 - for each of 50,000 objects
    if found.st_nlink > 1:  # where both names are links to the same file, rename(2) does nothing and leaves both
        Path(temporary_file).unlink(missing_ok=True)


def protect(path: str | Path, mode: int) -> None:
    """Make an object read-only, which is how DVC marks what it need not hash again."""
    if stat.S_IMODE(mode) != OBJECT_MODE:
        with suppress(PermissionError):  # a hardlink to another user's file: it stays as it is
            os.chmod(path, OBJECT_MODE)  # noqa: PTH101 - for each of 50,000 objects


def is_protected(mode: int) -> bool:
    """Tell whether nobody may write into a file of this mode."""
    return not mode & _WRITE_BITS


def explain_os_error(error: OSError, doing: str, where: Path) -> MlbutlerError:
    """Return the error to raise for an `OSError`: a full disk has one of its own."""
    if error.errno in _FULL:
        return DiskFull(
            f"No space is left in {where} while {doing}.",
            "Free some space there (`dvc gc -w` may help) and run again.",
        )
    return StoreError(
        f"{doing[:1].upper()}{doing[1:]} failed in {where}: {error.strerror or type(error).__name__}.",
        "Check that the folder exists and that this user may read and write it.",
    )
