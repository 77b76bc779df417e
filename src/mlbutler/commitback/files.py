"""Which files a results commit holds: those that were declared, as the work tree has them now."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from mlbutler.commitback.scratch import scratch_index
from mlbutler.errors import GitError, SettingsError
from mlbutler.frozen import frozen
from mlbutler.git import Git, TreeEntry

_LINK, _SUBMODULE = "120000", "160000"


class FileRefused(Exception):
    """A file that must not be committed: `reason` and `remedy` in words for the record."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy


@frozen
class Results:
    """The declared files as Git would store them now; paths are from the repository's root.

    `files`: None for a file that is gone. `changed`: those that differ from what is checked out.
    """

    files: Mapping[str, TreeEntry | None]
    changed: tuple[str, ...]

    def for_parent(self, git: Git, parent: str) -> dict[str, TreeEntry | None]:
        """Return what a commit on `parent` has to hold when another tree, a merge with it, was reproduced.

        Metrics that equal the merge's may still differ from the parent's, and have to go with dvc.lock. Files
        that Git ignores by are nobody's result unless they changed.
        """
        if not self.changed:
            return {}
        before = {entry.path: entry for entry in git.tree(parent)}
        return {
            path: entry
            for path, entry in self.files.items()
            if before.get(path) != entry and (path in self.changed or posixpath.basename(path) != ".gitignore")
        }


def from_root(prefix: str, path: str) -> str | None:
    """Return a path relative to the project's root as one from the repository's root; None outside of it."""
    full = posixpath.normpath(prefix + path) if not path.startswith("/") else path
    parts = full.split("/")
    if full.startswith("/") or parts[0] in ("..", ".") or any(part.lower() == ".git" for part in parts):
        return None
    return full


def find_changed_files(git: Git, patterns: Iterable[str]) -> tuple[str, ...]:
    """Return files below `git.directory` that differ from the index or are new, and match one of the globs.

    Raises:
        SettingsError: Git cannot make sense of a pattern.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        if pattern.startswith("/") or "\0" in pattern or not pattern:
            raise SettingsError(f"commit.paths: '{pattern}' is not relative to the project.", "Fix commit.paths.")
        try:
            out = git.run("ls-files", "-z", "-m", "-o", "--exclude-standard", "--", f":(glob){pattern}").out
        except GitError as error:
            raise SettingsError(f"commit.paths: '{pattern}': {error.message}", "Fix commit.paths.") from error
        found |= dict.fromkeys(os.fsdecode(item) for item in out.split(b"\0") if item)
    return tuple(found)


def collect(git: Git, checkout: str, paths: Iterable[str]) -> Results:
    """Read the declared files.

    Args:
        git: at the repository's root. checkout: the commit that is checked out.
        paths: files and folders from the repository's root; those that are missing are passed over.

    Raises:
        FileRefused: a path leads out of the repository or into a submodule, or is nothing that Git can keep.
    """
    before = {entry.path: entry for entry in git.tree(checkout)}
    submodules = {path for path, entry in before.items() if entry.mode == _SUBMODULE}
    wanted: dict[str, None] = {}
    for path in paths:
        wanted |= dict.fromkeys(_expand_path(git.directory, path, before, submodules))
    ignored = _list_ignored(git, [path for path in wanted if path not in before])
    kept = [path for path in wanted if path not in ignored]
    _refuse_large_files(git, kept)
    if not kept:
        return Results({}, ())
    with scratch_index(git, checkout) as index:
        index.add(kept)
        after = {entry.path: entry for entry in git.tree(index.tree())}
    files = {path: after.get(path) for path in kept}
    return Results(files, tuple(path for path in kept if before.get(path) != after.get(path)))


def _expand_path(top: Path, path: str, before: Mapping[str, TreeEntry], submodules: Collection[str]) -> Iterator[str]:
    for number in range(1, len(path.split("/")) + 1):
        part = "/".join(path.split("/")[:number])
        if part in submodules:
            raise FileRefused(f"{path} lies in the submodule {part}", "Keep results in the project's own repository.")
        if part != path and (top / part).is_symlink():
            raise FileRefused(
                f"{path} lies behind the symbolic link {part}", "Let the stage write below a real folder."
            )
    try:
        mode = (top / path).lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISDIR(mode):
        here: set[str] = set()
        for folder, folders, names in os.walk(top / path):
            relative = Path(folder).relative_to(top).as_posix()
            links = [name for name in folders if Path(folder, name).is_symlink()]
            for name in (*names, *links):
                here.add(f"{relative}/{name}")
        gone = {name for name in before if name.startswith(f"{path}/")} - here
        for name in sorted(here):
            yield _require_plain_file(top, name, before)
        yield from sorted(gone)
    else:
        yield _require_plain_file(top, path, before)


def _require_plain_file(top: Path, path: str, before: Mapping[str, TreeEntry]) -> str:
    mode = (top / path).lstat().st_mode
    entry = before.get(path)
    if stat.S_ISLNK(mode) and (entry is None or entry.mode != _LINK):
        raise FileRefused(f"{path} is a symbolic link", "Let the stage write a regular file.")
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        raise FileRefused(f"{path} is not a regular file", "Let the stage write a regular file.")
    return path


def _list_ignored(git: Git, paths: Iterable[str]) -> frozenset[str]:
    listed = b"".join(os.fsencode(path) + b"\0" for path in paths)
    if not listed:
        return frozenset()
    done = git.run("check-ignore", "-z", "--stdin", input=listed, check=False)
    if done.code > 1:
        raise Git.failure("check-ignore", done.err, network=False)
    return frozenset(os.fsdecode(item) for item in done.out.split(b"\0") if item)


def _refuse_large_files(git: Git, paths: Iterable[str]) -> None:
    """Refuse files of Git LFS: their content is outside Git, and a pointer pushed without it would be a loss."""
    listed = b"".join(os.fsencode(path) + b"\0" for path in paths)
    fields = git.run("check-attr", "-z", "--stdin", "filter", input=listed).out.split(b"\0")
    for path, value in zip(fields[0::3], fields[2::3], strict=False):
        if value == b"lfs":
            remedy = "Take it out of .gitattributes, or cache it in DVC."
            raise FileRefused(f"{os.fsdecode(path)} is kept in Git LFS", remedy)
