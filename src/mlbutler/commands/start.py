"""Opens a run: finds the project, reads settings, learns what the change is, and takes the clone's lock."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import platform
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path

from mlbutler import __version__
from mlbutler.anonymous import anonymous
from mlbutler.console import Console
from mlbutler.errors import BusyError, DiskFull, UsageError
from mlbutler.git import Git
from mlbutler.record import Change, Environment, Record
from mlbutler.record_file import read
from mlbutler.secrets import Redactor, secret_values
from mlbutler.settings import load
from mlbutler.steps.work import Work

FOLDER = ".mlbutler"


@contextmanager
def begin(
    directory: Path,
    console: Console,
    against: str | None = None,
    *,
    anew: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Work]:
    """The working state for one command, with the clone locked against a second one.

    A record of the same commit is continued, with the merge base it began with unless `against` names
    another; any other record, or any at all when `anew`, is begun again.

    Raises:
        UsageError: not a git repository, no commits, not a DVC project. SettingsError: see `settings.load`.
        BusyError: another mlbutler works in this clone.
    """
    environ = os.environ if environ is None else environ
    console.redactor = Redactor(secret_values(environ))
    root, git = _find(directory, environ)
    loaded = load(root, environ)
    with _lock(root):
        from mlbutler.ci import detect
        from mlbutler.reproduce.leftover import remove_torn_rwlock
        from mlbutler.store.trust import agreed

        remove_torn_rwlock(root)

        change = detect(git, environ, loaded.settings, against)
        before = read(root / FOLDER / "record.json")
        folder = root.relative_to(git.toplevel().resolve()).as_posix()
        known = agreed(git, change, "" if folder == "." else f"{folder}/")
        record = Record(
            change=change,
            environment=_environment(git),
            lock_hash=_lock_hash(root),
            project="" if folder == "." else folder,
        )
        if before is not None and not anew and _same_work(before.change, change):
            kept = change if against else before.change
            record = dataclasses.replace(
                before, change=kept, environment=record.environment, lock_hash=record.lock_hash
            )
        with anonymous() if change.fork else nullcontext(environ) as left:
            yield Work(
                root=root, loaded=loaded, console=console, record=record, environ=left, agreed_remotes=known
            )  # fmt: skip


def _same_work(before: Change, now: Change) -> bool:
    return all(
        getattr(before, name) == getattr(now, name) for name in ("ci", "kind", "head", "checkout", "number", "fork")
    )


def _find(directory: Path, environ: Mapping[str, str]) -> tuple[Path, Git]:
    from mlbutler.project.project import find_root

    if not directory.is_dir():
        raise UsageError(f"No such directory: {directory}", "Check -C.")
    git = Git(directory, environ)
    top = git.toplevel()
    git.head()
    root = find_root(directory)
    if not root.is_relative_to(top.resolve()):
        raise UsageError(
            f"{directory} is a git repository inside the DVC project {root}, not part of it.",
            "Run at the DVC project's own root; a submodule is a project of its own.",
        )
    os.chdir(root)  # DVC names stages relative to the current directory
    return root, Git(root, environ)


@contextmanager
def _lock(root: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    folder = root / FOLDER
    try:
        folder.mkdir(exist_ok=True)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        lock = FileLock(folder / "lock", timeout=0)
        with lock:
            yield
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


def _environment(git: Git) -> Environment:
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return Environment(
        mlbutler=__version__,
        dvc=version("dvc"),
        git=git.run("--version").text.removeprefix("git version "),
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        host=os.environ.get("NODE_NAME") or socket.gethostname(),
        cpus=os.cpu_count() or 1,
        memory=pages * size,
    )


def _lock_hash(root: Path) -> str:
    try:
        return hashlib.sha256((root / "dvc.lock").read_bytes()).hexdigest()
    except OSError:
        return ""
