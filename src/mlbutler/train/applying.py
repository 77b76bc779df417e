"""An experiment's results into the work tree, without losing anything that lies there."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from mlbutler.errors import PathRefused, UnsavedWork
from mlbutler.few import few
from mlbutler.git import Git, TreeEntry
from mlbutler.symlinks import Symlinks
from mlbutler.train.experiment import Experiment

_LINK = "120000"
_SHOWN = 5


@dataclass(frozen=True)
class Applied:
    """Paths, from the repository's root, that were written and removed."""

    written: tuple[str, ...]
    removed: tuple[str, ...]


def apply(
    git: Git, experiment: Experiment, saved: Collection[str] = (), only: Collection[str] | None = None
) -> Applied:
    """Write the files that an experiment changed since its baseline into the work tree; the index stays as it is.

    Args:
        git: at the repository's root. saved: commits of other results: what is as in one of them may be replaced.
        only: files and folders, from the repository's root, outside of which nothing is written; None for all.

    Raises:
        UnsavedWork: one of them was changed here since: nothing was written. PathRefused: a link is in the way.
    """
    changed = git.changed(experiment.baseline, experiment.result)
    paths = changed if only is None else tuple(path for path in changed if is_at(path, only))
    sides = [_entries(git, rev) for rev in (experiment.result, experiment.input, experiment.baseline)]
    here = _here(git, paths)
    unsaved = _differing(paths, here, sides)
    unsaved = _differing(unsaved, here, [_entries(git, commit) for commit in saved]) if unsaved else unsaved
    if unsaved:
        error = UnsavedWork(
            f"Changed here since {experiment.name} was sent: {few(unsaved, _SHOWN)}. Nothing was written.",
            f"Commit or stash it, or take the results elsewhere: dvc exp branch {experiment.name} NAME",
        )
        error.paths = tuple(unsaved[:1000])
        raise error
    Symlinks(git.directory, git, every=True).check(list(paths))
    _refuse_outside(paths)
    due = [path for path in paths if here.get(path) != _content(sides[0].get(path))]
    written = [path for path in due if path in sides[0]]
    removed = [path for path in due if path not in sides[0]]
    if written:
        names = b"".join(os.fsencode(path) + b"\0" for path in written)
        options = ("--worktree", "--pathspec-from-file=-", "--pathspec-file-nul")
        literal = {"GIT_LITERAL_PATHSPECS": "1"}
        git.run("restore", f"--source={experiment.result}", *options, input=names, extra=literal)
    for path in removed:
        (git.directory / path).unlink(missing_ok=True)
    return Applied(tuple(written), tuple(removed))


def is_at(path: str, places: Collection[str]) -> bool:
    """Return whether a path is one of `places`, or below one."""
    return any(path == place or path.startswith(f"{place}/") for place in places)


def _refuse_outside(paths: Sequence[str]) -> None:
    """Refuse paths that no `git add` makes; a tree that was fetched may hold any."""
    for path in paths:
        if {"", ".", "..", ".git"} & set(path.lower().split("/")):
            raise PathRefused(f"{path} is no path of a work tree. Nothing was written.", "Look at who made the result.")


def _differing(
    paths: Sequence[str], here: Mapping[str, tuple[bool, str]], sides: Sequence[Mapping[str, TreeEntry]]
) -> list[str]:
    """Return the paths whose content here is on none of the sides."""
    return [path for path in paths if here.get(path) not in [_content(side.get(path)) for side in sides]]


def _entries(git: Git, rev: str) -> Mapping[str, TreeEntry]:
    return {entry.path: entry for entry in git.tree(rev)}


def _content(entry: TreeEntry | None) -> tuple[bool, str] | None:
    """Return whether it is a link, and the object's id; None for nothing."""
    return (entry.mode == _LINK, entry.oid) if entry is not None else None


def _here(git: Git, paths: Sequence[str]) -> Mapping[str, tuple[bool, str]]:
    """Return what lies in the work tree as Git would store it; paths with nothing are not in it."""
    found: dict[str, tuple[bool, str]] = {}
    files = []
    for path in paths:
        place = git.directory / path
        if place.is_symlink():
            target = os.fsencode(place.readlink())
            found[path] = True, git.run("hash-object", "--stdin", input=target).text
        elif place.is_file():
            files.append(path)
        elif place.exists():
            found[path] = False, "a folder"
    for path in files:
        found[path] = False, git.run("hash-object", "--", path).text
    return found
