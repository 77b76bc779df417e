"""The work tree as it is, as a commit: staged or not, deleted, renamed, binary, with modes and links.

Nothing of the clone is touched but Git's objects: the index is a copy. The author and the dates are fixed, so that the
same work tree gives the same commit each time.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mlbutler.console import human_bytes
from mlbutler.errors import UsageError
from mlbutler.experiments.refs import AUTHOR
from mlbutler.first_few import first_few
from mlbutler.frozen import frozen
from mlbutler.git import Git
from mlbutler.git.written import NewObjects

MESSAGE = "Input of an experiment"
_LARGEST = 10 * 1024 * 1024
_SHOWN = 5
_LITERAL = {"GIT_LITERAL_PATHSPECS": "1"}


@frozen
class Captured:
    """The work tree as Git objects. `untracked`: files that are not in it and that Git does not ignore."""

    baseline: str
    tree: str
    untracked: tuple[str, ...]


def capture_work_tree(git: Git, copied: Sequence[str] = ()) -> Captured:
    """Return the work tree as a tree, with the untracked files `copied`.

    Args:
        git: at the repository's root. copied: files and folders from there, ignored by Git or not.

    Raises:
        UsageError: a merge is under way, or one of `copied` is not there, or too large for Git.
    """
    baseline = git.head()
    _refuse_conflicts(git)
    files = list(_untracked_files(git, copied))
    _refuse_large(git, files)
    with _copy_index(git) as index:
        git.run("add", "--update", "--", ":/", extra=index)
        if files:
            listed = b"".join(os.fsencode(path) + b"\0" for path in files)
            git.run("update-index", "--add", "--replace", "-z", "--stdin", input=listed, extra=index)
        tree = git.run("write-tree", extra=index).text
    return Captured(
        baseline, tree, tuple(path for path in _list_untracked(git, "--exclude-standard") if path not in files)
    )


@frozen
class Baseline:
    """The commit that a work tree stands on. `date`: seconds since 1970."""

    commit: str
    tree: str
    date: str


def read_baseline(git: Git, captured: Captured) -> Baseline:
    """Return what is to be known of the commit that the work tree stands on."""
    tree, date = git.run("show", "-s", "--format=%T %ct", captured.baseline).text.split()
    return Baseline(captured.baseline, tree, date)


def add_commit(new: NewObjects, baseline: Baseline, tree: str) -> str:
    """Add the commit to run, with this tree; return its id: the baseline's where nothing differs."""
    if tree == baseline.tree:
        return baseline.commit
    return new.commit(tree, [baseline.commit], MESSAGE, AUTHOR, f"{baseline.date} +0000")


@contextmanager
def _copy_index(git: Git) -> Iterator[dict[str, str]]:
    """Yield variables that make git use a copy of the index, which is removed afterwards.

    An index that is read from HEAD instead would not have files that were just added, and would have what
    assume-unchanged and skip-worktree hide.
    """
    source = git.path("index")
    with tempfile.TemporaryDirectory(prefix="mlbutler-index-") as folder:
        copy = Path(folder, "index")
        if source.exists():
            shutil.copy2(source, copy)  # with its time, by which git tells which files it has to read again
        yield {"GIT_INDEX_FILE": os.fspath(copy)}


def _refuse_conflicts(git: Git) -> None:
    unmerged = git.run("ls-files", "--unmerged", "-z").out.split(b"\0")
    if paths := sorted({os.fsdecode(item.partition(b"\t")[2]) for item in unmerged if item}):
        raise UsageError(
            f"{first_few(paths, _SHOWN)} cannot be sent: a merge is under way, and it is not resolved.",
            "Resolve it and `git add` the files, or `git merge --abort`.",
        )


def _untracked_files(git: Git, copied: Sequence[str]) -> Iterator[str]:
    """Yield the files that `copied` names and that Git does not track, ignored ones too."""
    for path in copied:
        place = git.directory / path
        if not place.resolve().is_relative_to(git.directory.resolve()) or not os.path.lexists(place):
            raise UsageError(f"--copy-paths: there is no {path} in the work tree.", "Name a file or folder in it.")
        if {".git", ".mlbutler"} & {part.lower() for part in Path(os.path.normpath(path)).parts}:
            raise UsageError(
                f"--copy-paths: {path} is never sent: it belongs to this clone.", "Name the files that a stage needs."
            )
        found = _list_untracked(git, "--", path)
        if not found and not git.run("ls-files", "-z", "--", path, extra=_LITERAL).out:
            raise UsageError(f"--copy-paths: there is no file in {path}.", "Name the files that a stage needs.")
        yield from found


def _list_untracked(git: Git, *options: str) -> tuple[str, ...]:
    out = git.run("ls-files", "--others", "-z", *options, extra=_LITERAL).out
    found = (os.fsdecode(item) for item in out.split(b"\0") if item)
    return tuple(path for path in found if ".mlbutler" not in path.split("/"))


def _refuse_large(git: Git, files: Collection[str]) -> None:
    large = [path for path in files if (git.directory / path).lstat().st_size > _LARGEST]
    if large:
        raise UsageError(
            f"{first_few(large, _SHOWN)} is too large for Git: an experiment's files are kept there up to "
            f"{human_bytes(_LARGEST)} each.",
            f"dvc add {large[0]}, and name it as a dependency of the stage that reads it.",
        )
