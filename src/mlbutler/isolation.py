"""Keep the project's own code from the rest of the machine, with bubblewrap, where that works.

Such code may write in the workspace and in a /tmp of its own, and nowhere else: not into the mirror, DVC's cache, Git's
files or what mlbutler remembers. It sees its own processes alone, no socket in /run, and no file in which a user's
credentials usually are.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from mlbutler.frozen import frozen

_PROGRAM = "bwrap"
_TIMEOUT = 20.0
_OWN = ("--unshare-pid", "--unshare-ipc", "--proc", "/proc", "--dev", "/dev")
# NVIDIA's, AMD's and Intel's cards, those of Windows' Linux, other accelerators, InfiniBand.
_CARDS = ("nvidia*", "dri", "kfd", "dxg", "accel", "infiniband")
# Files of the kernel's own /proc that root may write without any capability, whatever namespace it is in.
_OF_THE_KERNEL = ("sys", "sysrq-trigger", "irq", "bus", "fs")
_CREDENTIALS = (
    ".ssh", ".aws", ".azure", ".boto", ".netrc", ".git-credentials", ".config/gcloud", ".config/gh", ".config/dvc",
    ".config/rclone", ".docker", ".kube", ".gnupg", ".pypirc", ".huggingface/token", ".cache/huggingface/token",
)  # fmt: skip
# Root would keep all capabilities, with which it could mount / anew; it needs these to work on files of other users in
# the workspace.
_OF_ROOT = ("CAP_DAC_OVERRIDE", "CAP_CHOWN", "CAP_FOWNER")
_RESOLVER = Path("/etc/resolv.conf")


@frozen
class Places:
    """What the project's code may see and write.

    Attributes:
        workspace: the repository's root, which it may write. read_only: files and folders in it that it may not.
        writable: other files and folders that it may see and write. home: the user's.
        hidden: further files and folders that it may not see, unless they are writable. network: whether it has one.
    """

    workspace: Path
    read_only: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    home: Path | None = None
    hidden: tuple[Path, ...] = ()
    network: bool = True


@cache
def problem() -> str:
    """Return why no code can be isolated on this machine, '' where it can."""
    program = shutil.which(_PROGRAM)
    if program is None:
        return "bubblewrap (bwrap) is not installed"
    try:
        done = subprocess.run(
            [program, "--ro-bind", "/", "/", *_OWN, "--unshare-net", "true"], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", timeout=_TIMEOUT, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not work here: {error}"
    said = next(iter(done.stderr.strip().splitlines()), f"exit code {done.returncode}")
    return f"bubblewrap does not work here: {said}" if done.returncode else ""


def words(places: Places) -> str:
    """Return for the record how code is isolated."""
    said = "bubblewrap: read-only outside the workspace, own /tmp and /proc"
    return said if places.network else f"{said}, no network"


def prefix(places: Places, own: Path, covered: Mapping[Path, Path] | None = None) -> tuple[str, ...]:
    """Return bubblewrap's program and options: what has to stand before a command.

    Args:
        own: a folder for what the code writes to /tmp. covered: folders of the workspace, and what the code sees there.
    """
    covered = covered or {}
    program = shutil.which(_PROGRAM) or _PROGRAM
    options = ["--ro-bind", "/", "/", *_OWN]
    options += [word for name in _OF_THE_KERNEL if (path := f"/proc/{name}") and Path(path).exists()
                for word in ("--ro-bind", path, path)]  # fmt: skip
    for card in sorted(path for name in _CARDS for path in Path("/dev").glob(name)):
        options += ["--dev-bind", str(card), str(card)]
    options += [*_hidden(places), *_temporary(own)]
    options += _bound("--bind", [places.workspace])
    options += _bound("--bind", _above(places.workspace, [*places.read_only, *covered]))
    options += _bound("--ro-bind", places.read_only)
    for place, seen in covered.items():
        options += ["--bind", str(seen), str(place.resolve())]
    options += _bound("--bind", places.writable)
    options += _covering(places, places.hidden)
    if not places.network:
        options.append("--unshare-net")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options += ["--cap-drop", "ALL"]
        options += [word for name in _OF_ROOT for word in ("--cap-add", name)]
    return (program, *options, "--")


def _hidden(places: Places) -> Iterator[str]:
    """Yield options that cover sockets of the machine's services and the files of a user's credentials."""
    if Path("/run").is_dir():
        yield from ("--tmpfs", "/run")
        real = _RESOLVER.resolve()
        if real != _RESOLVER and real.is_relative_to("/run") and real.is_file():  # the network needs it
            yield from ("--ro-bind", str(real), str(real))
    if places.home is not None:
        yield from _covering(places, [places.home / name for name in _CREDENTIALS])


def _covering(places: Places, paths: Iterable[Path]) -> Iterator[str]:
    """Yield options that cover files and folders, except those that the code may write by name."""
    shown = {path.resolve() for path in places.writable}
    for path in paths:
        if path.exists() and path.resolve() not in shown:
            place = str(path.resolve())
            yield from ("--tmpfs", place) if path.is_dir() else ("--ro-bind", os.devnull, place)


def _temporary(own: Path) -> Iterator[str]:
    # On the disk: what a stage unpacks into /tmp may be larger than the memory.
    for name, place in (("tmp", "/tmp"), ("var-tmp", "/var/tmp")):
        (own / name).mkdir(exist_ok=True)
        (own / name).chmod(0o1777)
        yield from ("--bind", str(own / name), place)
    yield from ("--setenv", "TMPDIR", "/tmp", "--setenv", "XDG_CACHE_HOME", "/tmp/cache")


def _above(workspace: Path, paths: Iterable[Path]) -> set[Path]:
    """Return the folders of the workspace that lead to these paths.

    Each becomes a mount of its own: a folder that is none could be renamed with all that is mounted in it, and another
    put in its place.
    """
    top = workspace.resolve()
    above = {parent for path in paths if path.exists() for parent in path.resolve().parents}
    return {folder for folder in above if folder != top and folder.is_relative_to(top)}


def _bound(option: str, paths: Iterable[Path]) -> Sequence[str]:
    """Return a bind for each path that exists, those above first: a mount covers what was mounted below it before."""
    real = sorted({path.resolve() for path in paths if path.exists()}, key=lambda path: len(path.parts))
    return [word for path in real for word in (option, str(path), str(path))]
