"""Keep DVC from reading, for the project's code, files that this code may not read itself.

DVC is not isolated: it fills values of files into commands, records parameters, and follows an output's link into the
cache. From there the next stage, or anybody who reads the remote, would have the file.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from mlbutler.isolation import VisiblePaths
from mlbutler.parsing import Unreadable

Ask = Callable[[], VisiblePaths | None]
_held: tuple[Path | None, Ask] = (None, lambda: None)  # one for each process, as what it guards is


@contextmanager
def limit_reading(workspace: Path | None, of_code: Ask) -> Iterator[None]:
    """Let DVC read only what the project's code sees, during the block.

    Args:
        workspace: what it sees in any case. of_code: is asked once, when something else is read; None: it sees all.
    """
    global _held
    before, _held = _held, (workspace.resolve() if workspace is not None else None, cache(of_code))
    try:
        yield
    finally:
        _held = before


@cache
def guard_values() -> None:
    """Have DVC, in this process, refuse files of parameters and variables that are not in sight."""
    from dvc.utils import serialize

    theirs = dict(serialize.LOADERS)
    usual = serialize.LOADERS.default_factory

    def guard(load: Any) -> Any:
        def load_visible(path: Any, *args: Any, fs: Any = None, **options: Any) -> Any:
            if getattr(fs, "protocol", "local") == "local":
                _require(Path(path))
            return load(path, *args, fs=fs, **options)

        return load_visible

    made = {suffix: guard(load) for suffix, load in theirs.items()}
    serialize.LOADERS = defaultdict(lambda: guard(usual()), made)


def require_visible(path: Path) -> None:
    """Refuse a file of DVC's own that is a link to what is not in sight: an error would show a line of it.

    Raises:
        Unreadable: it is one.
    """
    absolute, (workspace, _) = path.absolute(), _held
    if absolute.is_relative_to(Path.cwd()) or (workspace is not None and absolute.is_relative_to(workspace)):
        _require(path)  # elsewhere it is the path in a commit


def _require(path: Path) -> None:
    if not _is_seen(path):
        said = "outside of what the project's code may read: not read"
        remedy = "Put the file into the repository, or name it in isolation.readable on the target branch."
        raise Unreadable(said, os.fspath(path), remedy)


def guard_outputs() -> None:
    """Have DVC, in this process, take no output with a link to what is not in sight."""
    from dvc.exceptions import DvcException
    from dvc.output import Output

    save = Output.save

    def save_if_visible(out: Any, *args: Any, **options: Any) -> Any:
        if out.protocol == "local":
            for link in _links(out.fs_path):
                if not _is_seen(Path(link)):
                    raise DvcException(f"{os.path.relpath(link)} is a link to what the stage's code may not read")
        return save(out, *args, **options)

    Output.save = save_if_visible


def _is_seen(path: Path) -> bool:
    real, (workspace, of_code) = path.resolve(), _held
    if workspace is not None and real.is_relative_to(workspace):
        return True
    visible = of_code()
    return visible is None or visible.sees(real)


def _links(top: str) -> Iterator[str]:
    """Yield the links on the way to a path of the work tree, itself if it is one, and those below it."""
    here = Path.cwd()
    path = Path(top)
    yield from (os.fspath(one) for one in (path, *path.parents) if one.is_relative_to(here) and one.is_symlink())
    left = [top] if path.is_dir() else []
    while left:
        with os.scandir(left.pop()) as entries:
            for entry in entries:
                if entry.is_symlink():
                    yield entry.path
                elif entry.is_dir(follow_symlinks=False):
                    left.append(entry.path)
