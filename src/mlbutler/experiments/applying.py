"""Write an experiment's results into the work tree, without losing unsaved changes there."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Mapping, Sequence

from mlbutler.errors import PathRefused, UnsavedWork
from mlbutler.experiments.experiment import Experiment
from mlbutler.first_few import first_few
from mlbutler.frozen import frozen
from mlbutler.git import Git
from mlbutler.symlinks import Symlinks, refusal

_LINK, _PROGRAM, _FILE = "120000", "100755", "100644"
_SHOWN = 5

_Content = tuple[str, str]
"""The mode, and the object's id."""


@frozen
class AppliedChanges:
    """Paths, from the repository's root, that were written and removed."""

    written: tuple[str, ...]
    removed: tuple[str, ...]


def apply_results(
    git: Git, experiment: Experiment, saved: Collection[str] = (), only: Collection[str] | None = None
) -> AppliedChanges:
    """Write the files that an experiment changed since its baseline into the work tree; the index stays as it is.

    Args:
        git: at the repository's root. saved: commits of other results: what is as in one of them may be replaced.
        only: files and folders, from the repository's root, outside of which nothing is written; None for all.

    Raises:
        UnsavedWork: one of them was changed here since: nothing was written. PathRefused: a link is in the way.
    """
    changed = git.changed_paths(experiment.baseline, experiment.result)
    paths = changed if only is None else tuple(path for path in changed if is_within(path, only))
    modes = git.run("config", "--type=bool", "core.fileMode", check=False).text != "false"
    sides = [_contents(git, rev, modes=modes) for rev in (experiment.result, experiment.input, experiment.baseline)]
    here = _here(git, paths, modes=modes)
    unsaved = _differing(paths, here, sides)
    unsaved = _differing(unsaved, here, [_contents(git, rev, modes=modes) for rev in saved]) if unsaved else unsaved
    if unsaved:
        error = UnsavedWork(
            f"Changed here since {experiment.name} was sent: {first_few(unsaved, _SHOWN)}. Nothing was written.",
            f"Commit or stash it, or take the results elsewhere: dvc exp branch {experiment.name} NAME",
        )
        error.paths = tuple(unsaved[:1000])
        raise error
    _refuse_outside(paths)
    due = [path for path in paths if here.get(path) != sides[0].get(path)]
    _refuse_through_links(git, due)
    written = [path for path in due if path in sides[0]]
    removed = [path for path in due if path not in sides[0]]
    if written:
        names = b"".join(os.fsencode(path) + b"\0" for path in written)
        options = ("--worktree", "--pathspec-from-file=-", "--pathspec-file-nul")
        literal = {"GIT_LITERAL_PATHSPECS": "1"}
        git.run("restore", f"--source={experiment.result}", *options, input=names, extra=literal)
    for path in removed:
        (git.directory / path).unlink(missing_ok=True)
    return AppliedChanges(tuple(written), tuple(removed))


def is_within(path: str, places: Collection[str]) -> bool:
    """Return whether a path is one of `places`, or below one."""
    return any(path == place or path.startswith(f"{place}/") for place in places)


def _refuse_outside(paths: Sequence[str]) -> None:
    """Refuse paths that no `git add` makes; a tree that was fetched may hold any."""
    for path in paths:
        if {"", ".", "..", ".git"} & set(path.lower().split("/")):
            raise PathRefused(
                f"{path} is not a path in a work tree. Nothing was written.", "Look at who made the result."
            )


def _refuse_through_links(git: Git, paths: Sequence[str]) -> None:
    """Refuse paths that lie behind a link; one that is a link itself is replaced, and not written through."""
    links = Symlinks(git.directory, git, every=True)
    behind = {path: path.rpartition("/")[0] for path in paths if "/" in path}
    refused = links.refused_links(dict.fromkeys(behind.values()))
    for path, folder in behind.items():
        if folder in refused:
            raise refusal({path: refused[folder]})


def _differing(
    paths: Sequence[str], here: Mapping[str, _Content], sides: Sequence[Mapping[str, _Content]]
) -> list[str]:
    """Return the paths whose content here is on none of the sides."""
    return [path for path in paths if here.get(path) not in [side.get(path) for side in sides]]


def _contents(git: Git, rev: str, *, modes: bool) -> Mapping[str, _Content]:
    return {entry.path: (_mode(entry.mode, modes=modes), entry.oid) for entry in git.tree(rev)}


def _mode(mode: str, *, modes: bool) -> str:
    """Return the mode as it can be compared with a file's: without `modes` a file does not tell whether it is run."""
    return _FILE if mode == _PROGRAM and not modes else mode


def _here(git: Git, paths: Sequence[str], *, modes: bool) -> Mapping[str, _Content]:
    """Return what lies in the work tree as Git would store it; paths with nothing are not in it."""
    found: dict[str, _Content] = {}
    files = []
    for path in paths:
        place = git.directory / path
        if place.is_symlink():
            target = os.fsencode(place.readlink())
            found[path] = _LINK, git.run("hash-object", "--stdin", input=target).text
        elif place.is_file():
            files.append(path)
        elif place.exists():
            found[path] = "", "a folder"
    for path in files:
        mode = _PROGRAM if (git.directory / path).stat().st_mode & stat.S_IXUSR else _FILE
        found[path] = _mode(mode, modes=modes), git.run("hash-object", "--", path).text
    return found
