"""Make a second work tree, for runs that are not the author's: a clone that shares objects and DVC's cache alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlbutler.commitback.scratch import scratch_index
from mlbutler.errors import UsageError
from mlbutler.git import Git
from mlbutler.symlinks import Symlinks

FOLDER = "scratch"
LOCAL_CONFIG = ".dvc/config.local"
"""In a scratch clone it says where the cache and directories that are remotes lie, and nothing else."""


@contextmanager
def scratch_clone(
    git: Git, revision: str | None, root: Path, prefix: str, cache: Path, environ: Mapping[str, str]
) -> Iterator[Path]:
    """Make a clone beside the record, removed at the end.

    Stages that run in it fill the same cache and the same run cache. It has no remote, and none of the settings in
    ``.git/config`` or ``.dvc/config.local``, where credentials can be.

    Args:
        git: at the repository's root. revision: a commit, None for the work tree as it is (but for ignored files).
        root: the project's root. prefix: its path from the repository's root. cache: DVC's cache.
        environ: for git in the clone; holds no credentials.

    Yields:
        the project's root in the clone.
    """
    folder = root / ".mlbutler" / FOLDER
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    commit = revision or git.head()
    tree = commit if revision else _tree_of_work(git, commit)
    try:
        project = make_clone(git, folder / "clone", commit, prefix, environ, tree=tree)
        if not (project / ".dvc").is_dir():
            where = f" in {prefix}" if prefix else ""
            raise UsageError(f"There is no DVC project{where} at {commit[:10]}.", "Name a commit that has one.")
        configure(project, cache)
        yield project
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_clone(
    git: Git, target: Path, commit: str, prefix: str, environ: Mapping[str, str], *, tree: str | None = None,
    lay_out: Callable[[Git], object] | None = None,
) -> Path:  # fmt: skip
    """Make a clone in the new folder `target` that shares Git's objects; return the project's root in it.

    Args:
        git: at the repository's root. commit: what HEAD is. prefix: the project's path from the repository's root.
        environ: for git in the clone; holds no credentials. tree: the files, if they are not those of `commit`.
        lay_out: lays out what is needed of the files, which the clone's index holds; all are if None.

    Raises:
        PathRefused: a link leads out of the clone where DVC's configuration is to lie.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # Not by `git clone --shared`: of a shallow clone it shares nothing, and has no commit that no branch holds.
    git.run("init", "--quiet", "--template=", "--", str(target))
    alternates = target / ".git" / "objects" / "info" / "alternates"
    alternates.parent.mkdir(parents=True, exist_ok=True)
    alternates.write_bytes(os.fsencode(git.path("objects").resolve()) + b"\n")
    if (shallow := git.path("shallow")).exists():
        shutil.copy(shallow, target / ".git" / "shallow")
    inside = Git(target, environ)
    inside.run("update-ref", "--no-deref", "HEAD", commit)
    inside.run("read-tree", "--reset", *(["-u"] if lay_out is None else []), tree or commit)
    if lay_out is not None:
        lay_out(inside)
    Symlinks(target, inside, every=True).check([f"{prefix}.dvc", f"{prefix}{LOCAL_CONFIG}"])
    return target / prefix


def configure(project: Path, cache: Path, directories: Mapping[str, Path] | None = None) -> None:
    """Have DVC in a clone use the cache of the project that it is a clone of.

    Args:
        directories: remotes that are directories: name -> where; a relative path would lead elsewhere from the clone.
    """
    from configobj import ConfigObj

    local = ConfigObj(encoding="utf-8")
    local.filename = os.fspath(project / LOCAL_CONFIG)
    local["cache"] = {"dir": os.fspath(cache.resolve())}
    for name, place in (directories or {}).items():
        local[f'remote "{name}"'] = {"url": os.fspath(place)}
    local.write()


def _tree_of_work(git: Git, commit: str) -> str:
    """Return the work tree's files as a tree object: what is tracked or could be, changed or not."""
    with scratch_index(git, commit) as index:
        index.add(git.dirty(untracked=True))
        return index.tree()
