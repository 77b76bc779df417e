"""Keep the project's own code from the rest of the machine, with bubblewrap, where that works.

Such code may write in the workspace and in a /tmp and a home of its own, and nowhere else: not into the mirror, DVC's
cache, Git's files or what mlbutler remembers. It sees its own processes alone, no socket of a service, and of users'
homes what programs need.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

from mlbutler import file_modes, linux
from mlbutler.frozen import frozen

_PROGRAM = "bwrap"
_TIMEOUT = 20.0
_OWN = ("--unshare-pid", "--unshare-ipc", "--proc", "/proc", "--dev", "/dev")
# NVIDIA's, AMD's and Intel's cards, those of Windows' Linux, other accelerators, InfiniBand.
_CARDS = ("nvidia*", "dri", "kfd", "dxg", "accel", "infiniband")
# Files of the kernel's own /proc that root may write without any capability, whatever namespace it is in.
_OF_THE_KERNEL = ("sys", "sysrq-trigger", "irq", "bus", "fs")
# Of what is shown by name these are covered: tools keep tokens among their caches.
_TOKENS = ("token", "stored_tokens", "credentials", "credentials.toml", "auth.toml", ".netrc")
# Root would keep all capabilities, with which it could mount / again; it needs these to work on files of other users in
# the workspace.
_OF_ROOT = (file_modes.OVERRIDE, "CAP_CHOWN", "CAP_FOWNER")
_RESOLVER = Path("/etc/resolv.conf")
_COVERED = tuple(map(Path, ("/run", "/tmp", "/var/tmp", "/dev", "/proc")))


@frozen
class Places:
    """What the project's code may see and write.

    Attributes:
        workspace: the repository's root, which it may write. read_only: files and folders in it that it may not.
        writable: other files and folders that it may see and write. homes: folders that are users', or hold them, which
        it does not see. home: the user's, in place of which it has one of its own. readable: what it may see of homes.
        hidden: further files, folders and sockets that it may not see, unless they are writable or readable by name.
        redacted: files of the workspace of which it sees a copy without credentials.
        network: whether it has one. modes_bind: whether root's code may not write into files whose mode forbids it.
    """

    workspace: Path
    read_only: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    homes: tuple[Path, ...] = ()
    home: Path | None = None
    readable: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()
    redacted: tuple[Path, ...] = ()
    network: bool = True
    modes_bind: bool = False


@frozen
class VisiblePaths:
    """What the project's code may see: all but what is `covered`, without what is `kept` of that.

    Of the folders above a path the nearest one counts.
    """

    covered: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    @classmethod
    def of(cls, places: Places) -> VisiblePaths:
        """Return what code sees behind the `prefix` of these places."""
        kept = (places.workspace, *places.readable, *places.writable)
        tokens = (path / name for path in (*places.readable, *places.writable) for name in _TOKENS)
        covered = (
            *_COVERED,
            *places.homes,
            *places.redacted,
            *(p for p in (*places.hidden, *tokens) if p.resolve() not in kept),
        )
        return cls(
            tuple({os.fspath(path.resolve()) for path in covered}), tuple({os.fspath(p.resolve()) for p in kept})
        )

    def sees(self, path: Path) -> bool:
        """Tell whether code may read a path, which is without links."""
        return _nearest(path, self.kept) >= _nearest(path, self.covered)


def _nearest(path: Path, folders: Iterable[str]) -> int:
    return max((len(Path(folder).parts) for folder in folders if path.is_relative_to(folder)), default=0)


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
            preexec_fn=partial(before_start, [program]),
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not work here: {error}"
    said = next(iter(done.stderr.strip().splitlines()), f"exit code {done.returncode}")
    return f"bubblewrap does not work here: {said}" if done.returncode else ""


def before_start(prefix: Sequence[str]) -> None:
    """Prepare the process that is going to start a command behind `prefix`.

    Where that is bubblewrap's: no namespace of files parts abstract sockets and keyrings.
    """
    if Path(prefix[0]).name != _PROGRAM:
        return
    linux.leave_keyring()
    if _can_cut_sockets():
        linux.cut_abstract_sockets()


@cache
def _can_cut_sockets() -> bool:
    program = shutil.which(_PROGRAM)
    # It takes from a set-uid bubblewrap what that needs to work.
    return program is not None and not Path(program).stat().st_mode & stat.S_ISUID and linux.can_cut_abstract_sockets()


def words(places: Places) -> str:
    """Return for the record how code is isolated."""
    said = "bubblewrap: read-only outside the workspace, own home, /tmp and /proc"
    if not places.network:
        return f"{said}, no network"
    return said if _can_cut_sockets() else f"{said}; abstract sockets are shared"


def prefix(places: Places, own: Path, covered: Mapping[Path, Path] | None = None) -> tuple[str, ...]:
    """Return bubblewrap's program and options: what has to stand before a command.

    Args:
        own: a folder for what the code writes to /tmp and to its home. covered: folders and files of the workspace, and
            what the code sees there; it may write into the folders.
    """
    covered = covered or {}
    program = shutil.which(_PROGRAM) or _PROGRAM
    options = ["--ro-bind", "/", "/", *_OWN]
    options += [word for name in _OF_THE_KERNEL if (path := f"/proc/{name}") and Path(path).exists()
                for word in ("--ro-bind", path, path)]  # fmt: skip
    for card in sorted(path for name in _CARDS for path in Path("/dev").glob(name)):
        options += ["--dev-bind", str(card), str(card)]
    cache_home = "/tmp/cache" if places.home is None else f"{places.home}/.cache"
    options += [*_service_options(), *_temporary(own), "--setenv", "XDG_CACHE_HOME", cache_home, *_homes(places, own)]
    around = {path for path in places.writable if places.workspace.resolve().is_relative_to(path.resolve())}
    options += _bind_options("--ro-bind", places.readable)
    options += _bind_options("--bind", around)  # below what covers the workspace's own files
    options += _bind_options("--bind", [places.workspace])
    options += _bind_options("--bind", _above(places.workspace, [*places.read_only, *covered]))
    options += _bind_options("--ro-bind", places.read_only)
    for place, seen in covered.items():
        options += ["--bind" if seen.is_dir() else "--ro-bind", str(seen), str(place.resolve())]
    options += _bind_options("--bind", [path for path in places.writable if path not in around])
    tokens = [path / name for path in (*places.readable, *places.writable) for name in _TOKENS]
    empty = own / "empty"  # a tool that finds an empty one goes on without a token; one that may not read it fails
    empty.touch()
    options += [*_covering(places, places.hidden), *_covering(places, tokens, os.fspath(empty))]
    options += [word for top in _others(places) for word in ("--remount-ro", str(top))]
    if not places.network:
        options.append("--unshare-net")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options += ["--cap-drop", "ALL"]
        options += [word for name in _OF_ROOT if name != file_modes.OVERRIDE or not places.modes_bind
                    for word in ("--cap-add", name)]  # fmt: skip
    return (program, *options, "--")


def present(prefix: Sequence[str]) -> list[str]:
    """Return a prefix for now, without what covers a socket or a file that has gone since: bubblewrap fails at it."""
    words: list[str] = []
    left = list(prefix)
    while left:
        option = left[:3]
        if option[:2] == ["--ro-bind", os.devnull] and not os.path.lexists(option[2]):
            del left[:3]
        else:
            words.append(left.pop(0))
    return words


def _service_options() -> Iterator[str]:
    """Yield options that cover sockets and files of the machine's services."""
    for place in ("/run", "/var/run"):
        if Path(place).is_dir() and not Path(place).is_symlink():
            yield from ("--tmpfs", place)
    real = _RESOLVER.resolve()
    if real != _RESOLVER and real.is_relative_to("/run") and real.is_file():  # the network needs it
        yield from ("--ro-bind", str(real), str(real))


def _homes(places: Places, own: Path) -> Iterator[str]:
    """Yield options that cover the homes, and give the code one of its own on the disk."""
    for top in _others(places):
        yield from ("--tmpfs", str(top))
    if places.home is None or places.home.is_relative_to(places.workspace.resolve()):
        return
    home = own / "home"
    home.mkdir(exist_ok=True)
    # Git refuses a repository of another user, such as one that a container's user works in.
    (home / ".gitconfig").write_text(f"[safe]\n\tdirectory = {json.dumps(str(places.workspace))}\n", encoding="utf-8")
    yield from ("--bind", str(home), str(places.home))


def _others(places: Places) -> list[Path]:
    workspace = places.workspace.resolve()
    return [top for top in places.homes if top != places.home and not top.is_relative_to(workspace)]


def _covering(places: Places, paths: Iterable[Path], with_file: str = os.devnull) -> Iterator[str]:
    """Yield options that cover files and folders, except those that the code may write by name."""
    shown = {path.resolve() for path in (*places.writable, *places.readable)}
    for path in paths:
        if path.exists() and path.resolve() not in shown and not _is_gone(places, path.resolve()):
            place = str(path.resolve())
            yield from ("--tmpfs", place) if path.is_dir() else ("--ro-bind", with_file, place)


def _is_gone(places: Places, path: Path) -> bool:
    """Return whether a path is covered with a folder above it: what does not exist there cannot be covered."""
    covered = {*_COVERED, *places.homes}
    kept = {place.resolve() for place in (places.workspace, *places.readable, *places.writable)}
    return any(path.is_relative_to(top) for top in covered) and not any(path.is_relative_to(one) for one in kept)


def _temporary(own: Path) -> Iterator[str]:
    # On the disk: what a stage unpacks into /tmp may be larger than the memory.
    for name, place in (("tmp", "/tmp"), ("var-tmp", "/var/tmp")):
        (own / name).mkdir(exist_ok=True)
        (own / name).chmod(0o1777)
        yield from ("--bind", str(own / name), place)
    yield from ("--setenv", "TMPDIR", "/tmp")


def _above(workspace: Path, paths: Iterable[Path]) -> set[Path]:
    """Return the folders of the workspace that lead to these paths.

    Each becomes a mount of its own: a folder that is none could be renamed with all that is mounted in it, and another
    put in its place.
    """
    top = workspace.resolve()
    above = {parent for path in paths if path.exists() for parent in path.resolve().parents}
    return {folder for folder in above if folder != top and folder.is_relative_to(top)}


def _bind_options(option: str, paths: Iterable[Path]) -> Sequence[str]:
    """Return a bind for each path that exists, those above first: a mount covers what was mounted below it before."""
    real = sorted({path.resolve() for path in paths if path.exists()}, key=lambda path: len(path.parts))
    return [word for path in real for word in (option, str(path), str(path))]
