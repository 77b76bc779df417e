"""The locks that keep two runs of one clone apart, and waiting for a verb that is still ending."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from mlbutler.errors import BusyError, DiskFull, UsageError
from mlbutler.record_file import latest_record, read_record

FOLDER = ".mlbutler"
SIDE_BY_SIDE = ("test", "lint")
"""Steps that only run commands: a CI server may run them at once, in the same clone."""
# Seconds that a step which works beside others waits while one of them begins.
_TIMEOUT = 60.0
# Seconds for a verb that was asked to stop: its stage has 15 to write a checkpoint, then files are put back and kept.
_TO_END = 120.0


@contextmanager
def lock_clone(root: Path) -> Iterator[None]:
    """Lock the clone for one command.

    Raises:
        BusyError: another mlbutler works in it. UsageError: it cannot be written. DiskFull: no space is left.
    """
    with _lock(root, "lock"):
        yield


@contextmanager
def lock_step(root: Path, name: str) -> Iterator[None]:
    """Lock the clone against the same step `name` of `SIDE_BY_SIDE`. Raises as `lock_clone`."""
    with _lock(root, f"lock-{name}"):
        yield


@contextmanager
def lock_to_begin(root: Path) -> Iterator[None]:
    """Lock the clone while a step of `SIDE_BY_SIDE` begins, after others that do. Raises as `lock_clone`."""
    with _lock(root, "lock", _TIMEOUT):
        yield


@contextmanager
def lock_after_others(root: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Lock the clone once all that works in it has ended: after an abort a CI server reports while a verb still ends.

    Raises as `lock_clone`, after some time.
    """
    for name in SIDE_BY_SIDE:  # before the clone's lock, as these steps take theirs
        with _lock(root, f"lock-{name}", _TO_END, partial(_say_waiting, say, (name,))):
            pass
    with _lock(root, "lock", _TO_END, lambda: _say_waiting(say, _under_way(root))):
        yield


def _say_waiting(say: Callable[[str], None], names: Sequence[str]) -> None:
    what = f"the step {' and '.join(names)}" if names else "another mlbutler"
    say(f"Waiting up to {_TO_END / 60:.0f} minutes for {what}, still at work in this clone.")


def _under_way(root: Path) -> Sequence[str]:
    record = read_record(latest_record(root))
    return [name for name in (record.began if record else ()) if name not in SIDE_BY_SIDE]


def make_own_folder(root: Path) -> None:
    """Make the folder that mlbutler's own files of a clone are in, which Git ignores.

    Raises:
        OSError: the clone cannot be written.
    """
    folder = root / FOLDER
    folder.mkdir(exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")


@contextmanager
def _lock(root: Path, name: str, timeout: float = 0, wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Lock by the file `name`; `wait` is called where it has to wait."""
    from filelock import FileLock, Timeout

    folder = root / FOLDER
    try:
        make_own_folder(root)
        lock = FileLock(folder / name, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            if not timeout:
                raise
            wait()
            lock.acquire(timeout=timeout)
        try:
            yield
        finally:
            lock.release()
    except Timeout as error:
        raise BusyError(
            f"Another mlbutler works in {root}.", "Wait for it to end, or run in a clone of its own."
        ) from error
    except PermissionError as error:
        if error.filename and Path(error.filename).is_relative_to(folder):
            raise UsageError(
                f"{folder} cannot be written.", "Give this user the right to write the work tree."
            ) from error
        raise
    except OSError as error:
        if error.errno == 28:
            raise DiskFull(
                "The disk is full.", "Free some space; `dvc gc --workspace` removes unused objects."
            ) from error
        raise
