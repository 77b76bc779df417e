"""Points of a sweep: the commit that is run for each, and its overrides as texts."""

from __future__ import annotations

import os
from collections.abc import Mapping

from mlbutler.errors import UsageError
from mlbutler.experiments import capture
from mlbutler.experiments.capture import Captured
from mlbutler.git import Git, TreeEntry
from mlbutler.git.batch import read_objects
from mlbutler.git.verified import entries
from mlbutler.git.written import FOLDER, NewObjects
from mlbutler.project import overrides

_FILES = ("100644", "100755")


class InputCommits:
    """The commits that are run for points of one work tree; what they have in common is read once.

    Args:
        git: at the repository's root. prefix: the project's path from there.
    """

    def __init__(self, git: Git, captured: Captured, prefix: str) -> None:
        self._git, self._captured, self._prefix = git, captured, prefix
        self._objects: dict[str, bytes] = {}
        self._baseline: capture.Baseline | None = None

    def commit(self, point: overrides.Point) -> str:
        """Return the commit that is run for a point: what was captured, with the overrides.

        Raises:
            UsageError: an override is refused.
        """
        if self._baseline is None:
            self._baseline = capture.read_baseline(self._git, self._captured)
        new = NewObjects(self._captured.tree)
        tree = self._tree(new, self._captured.tree, self._contents(point))
        commit = capture.add_commit(new, self._baseline, tree)
        new.write(self._git, check=False)  # what the project's own folders hold is its own affair
        return commit

    def _contents(self, point: overrides.Point) -> Mapping[str, bytes]:
        """Return the parameter files with the overrides of a point: path from the repository's root -> content."""
        changed = {}
        for file, values in point.items():
            path = os.path.normpath(f"{self._prefix}{file}")
            entry = self._entry(path)
            if entry is None or entry.mode not in _FILES:
                raise UsageError(f"-S: Git does not track {file}.", f"git add {file}, or name another file.")
            before = self._object(entry.oid)
            after = overrides.apply_overrides(file, before, values)
            if after != before:
                changed[path] = after
        return changed

    def _entry(self, path: str) -> TreeEntry | None:
        """Return what the captured tree has at a path."""
        found: TreeEntry | None = TreeEntry(FOLDER, self._captured.tree, "")
        for name in path.split("/"):
            found = self._folder(found.oid).get(name) if found is not None and found.mode == FOLDER else None
        return found

    def _tree(self, new: NewObjects, oid: str, changed: Mapping[str, bytes]) -> str:
        """Add a folder with some files' content changed; return its id."""
        if not changed:
            return oid
        found, below = dict(self._folder(oid)), dict[str, dict[str, bytes]]()
        for path, content in changed.items():
            name, _, rest = path.partition("/")
            if rest:
                below.setdefault(name, {})[rest] = content
            else:
                found[name] = found[name]._replace(oid=new.blob(content))
        for name, more in below.items():
            found[name] = found[name]._replace(oid=self._tree(new, found[name].oid, more))
        return new.tree(found.values())

    def _folder(self, oid: str) -> Mapping[str, TreeEntry]:
        return {name: TreeEntry(mode, below, name) for mode, name, below in entries(self._object(oid), len(oid))}

    def _object(self, oid: str) -> bytes:
        if oid not in self._objects:
            self._objects |= {oid: content for oid, _, content in read_objects(self._git, [oid])}
        return self._objects[oid]


def input_commit(git: Git, captured: Captured, prefix: str, point: overrides.Point) -> str:
    """Return the commit that is run for one point, as `InputCommits` does."""
    return InputCommits(git, captured, prefix).commit(point)


def override_texts(point: overrides.Point) -> tuple[str, ...]:
    """Return the overrides as they are given on a command line."""
    pairs = ((file, value) for file, values in point.items() for value in values)
    return tuple(value if file == "params.yaml" else f"{file}:{value}" for file, value in pairs)
