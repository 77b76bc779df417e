"""Give out the GPUs of a machine: each to one experiment at a time, of any user and any project.

A lease is an exclusive lock (flock) on an empty file named after the GPU's UUID, in a folder where every user of the
machine may make files and nobody may remove another's: ``/run/lock`` where it is such a one, else ``/tmp``. Anybody may
open the files: a lock needs no right to write. The kernel lets go of it when the last process ends that has it open,
which are the worker and `mlbutler run`, so that no kill leaves a GPU leased, and none that still works loses its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from mlbutler.errors import OutsideError
from mlbutler.experiments.gpus import GpuDevice, read_utilization, visible_gpus
from mlbutler.first_few import first_few
from mlbutler.frozen import frozen

_FOLDERS = ("/run/lock", "/tmp")
_TURN = "turn"
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LOOK_AGAIN = 60.0
_TRIES = 100
_POLL = 1.0
_SHOWN = 4


@frozen
class GpuLease:
    """GPUs that nobody else is given until it is closed. `fds`: to be inherited by what works with them."""

    gpus: tuple[GpuDevice, ...]
    fds: tuple[int, ...]

    def __enter__(self) -> GpuLease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for fd in self.fds:
            os.close(fd)

    def environment(self) -> dict[str, str]:
        """Return the variables by which CUDA, and a container's runtime, know what is leased; none for no GPU."""
        named = ",".join(gpu.uuid for gpu in self.gpus)
        return {"CUDA_VISIBLE_DEVICES": named, "NVIDIA_VISIBLE_DEVICES": named} if named else {}

    def __str__(self) -> str:
        return first_few([f"GPU {gpu.index} ({gpu.name}, {gpu.uuid})" for gpu in self.gpus], _SHOWN)


NO_GPUS = GpuLease((), ())


@contextlib.contextmanager
def lease_gpus(
    count: int, environ: Mapping[str, str], folder: Path | None, go_on: Callable[[str], bool]
) -> Iterator[GpuLease | None]:
    """Hold a lease of so many GPUs while the context is open; yields None where it was given up.

    Args:
        environ: CUDA_VISIBLE_DEVICES of it is a bound. folder: where the locks lie, None for the machine's own place.
        go_on: tells whether to wait while too many are leased by others; it takes what it waits for.

    Raises:
        OutsideError: the machine has too few, or they cannot be locked.
    """
    if not count:
        yield NO_GPUS
        return
    request = GpuRequest(count, environ, folder)
    try:
        while (lease := request.poll()) is None and go_on(request.reason()):
            time.sleep(_POLL)
    finally:
        request.close()
    if lease is None:
        yield None
        return
    with lease:
        yield lease


class GpuRequest:
    """A request for a number of GPUs: call `poll` until it returns a lease, and `close` at the end.

    One request at a time has the turn, and keeps the GPUs that it gets until it has all: one for many is not overtaken
    by those for few, and no two wait for each other's.

    Args:
        count: at least 1. environ: CUDA_VISIBLE_DEVICES of it is a bound. folder: where the locks lie.
    """

    def __init__(self, count: int, environ: Mapping[str, str], folder: Path | None = None) -> None:
        self._count, self._environ, self._folder = count, environ, folder or _shared_folder()
        self._turn: int | None = None
        self._there: tuple[GpuDevice, ...] = ()
        self._seen = 0.0
        self._held: dict[GpuDevice, int] = {}

    def poll(self) -> GpuLease | None:
        """Return the lease once there is one; None while too many are leased by others.

        Raises:
            OutsideError: the machine has too few, or they cannot be locked.
        """
        there = self._visible()
        if self._turn is None:
            self._turn = _lock_file(self._folder, _TURN)
        if self._turn is None:
            return None
        for gpu in there:
            if gpu not in self._held and (fd := _lock_file(self._folder, gpu.uuid)) is not None:
                self._held[gpu] = fd
        if len(self._held) < self._count:
            return None
        chosen = sorted(_freest_first(tuple(self._held), self._environ)[: self._count], key=there.index)
        lease = GpuLease(tuple(chosen), tuple(self._held.pop(gpu) for gpu in chosen))
        self.close()
        return lease

    def reason(self) -> str:
        """Return in words what the request waits for."""
        many = "a GPU" if self._count == 1 else f"{self._count} GPUs"
        return f"for {many}: of {len(self._there)} too few are free"

    def _visible(self) -> tuple[GpuDevice, ...]:
        now = time.monotonic()
        if not self._there or now > self._seen + _LOOK_AGAIN:
            self._there, self._seen = require_gpus(self._count, self._environ), now
        return self._there

    def close(self) -> None:
        """Release the GPUs that were locked so far, and the turn."""
        for fd in (*self._held.values(), *(() if self._turn is None else (self._turn,))):
            os.close(fd)
        self._turn, self._held = None, {}


def require_gpus(count: int, environ: Mapping[str, str]) -> tuple[GpuDevice, ...]:
    """Return the GPUs that may be given out, of which there are at least so many.

    Raises:
        OutsideError: there are too few, so that waiting is useless; or the driver does not answer.
    """
    there = visible_gpus(environ)
    if len(there) >= count:
        return there
    bound = environ.get("CUDA_VISIBLE_DEVICES")
    if bound is not None:
        remedy = f"CUDA_VISIBLE_DEVICES is '{bound}': unset it, or name more of what `nvidia-smi -L` lists."
    else:
        remedy = (
            "`nvidia-smi -L` lists those that there are; without one, the driver or the container's GPUs are missing."
        )
    found = f"only {len(there)}" if there else "no GPU"
    raise OutsideError(f"--gpus {count}: {found} can be seen on this machine.", remedy)


def _freest_first(gpus: Sequence[GpuDevice], environ: Mapping[str, str]) -> list[GpuDevice]:
    """Return the GPUs with those first of which people who lease none use the least memory."""
    used = read_utilization(environ) if len(gpus) > 1 else {}
    return sorted(gpus, key=lambda gpu: use.memory or 0 if (use := used.get(gpu.whole)) is not None else 0)


def _shared_folder() -> Path:
    for name in _FOLDERS:
        with contextlib.suppress(OSError):
            mode = Path(name).stat().st_mode
            if mode & stat.S_IWOTH and mode & stat.S_ISVTX:
                return Path(name)
    return Path(_FOLDERS[-1])


def _lock_file(folder: Path, name: str) -> int | None:
    """Return the descriptor of a file that is locked now, None where another process has the lock.

    Raises:
        OutsideError: what lies there is no file that can be locked.
    """
    path = folder / f"mlbutler-gpu-{name.replace('/', '-')}.lock"
    for _ in range(_TRIES):
        try:
            fd = _open_file(path)
        except FileNotFoundError:  # removed since it was seen to be there
            continue
        except OSError as error:
            raise _lock_error(path, str(error.strerror)) from error
        try:
            if _lock(fd, path):
                return fd
        except BlockingIOError:
            os.close(fd)
            return None
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
    raise _lock_error(path, "it comes and goes, or its folder is missing")


def _lock(fd: int, path: Path) -> bool:
    """Lock an open file; return whether it still lies at its path: another process may have removed or replaced it.

    Raises:
        BlockingIOError: another has the lock. OutsideError: it is no file.
    """
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise _lock_error(path, "it is not a file")
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False


def _open_file(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | _FLAGS)
    except PermissionError:
        return os.open(path, os.O_RDONLY | _FLAGS)
    except FileNotFoundError:
        pass
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o666)
    except FileExistsError:  # made by another in this moment
        return os.open(path, os.O_RDONLY | _FLAGS)
    os.fchmod(fd, 0o666)  # whatever the umask
    return fd


def _lock_error(path: Path, why: str) -> OutsideError:
    return OutsideError(
        f"The GPUs of this machine cannot be given out: {path}: {why}.",
        f"Look at who made {path}, and remove it; it is an empty file that mlbutler locks.",
    )
