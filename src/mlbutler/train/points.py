"""A point of a sweep: the commit that is run for it, and how its overrides are written."""

from __future__ import annotations

import os
from collections.abc import Mapping

from mlbutler.errors import UsageError
from mlbutler.git import Git
from mlbutler.project import overrides
from mlbutler.train import capture
from mlbutler.train.capture import Captured


def input_commit(git: Git, captured: Captured, prefix: str, point: overrides.Point) -> str:
    """Return the commit that is run for a point: what was captured, with the overrides.

    Args:
        git: at the repository's root. prefix: the project's path from there.

    Raises:
        UsageError: an override is refused.
    """
    return capture.commit(git, captured, _contents(git, captured, prefix, point))


def _contents(git: Git, captured: Captured, prefix: str, point: overrides.Point) -> Mapping[str, bytes]:
    """Return the parameter files with the overrides of a point: path from the repository's root -> content."""
    changed = {}
    for file, values in point.items():
        path = os.path.normpath(f"{prefix}{file}")
        entry = next((entry for entry in git.tree(captured.tree, path) if entry.path == path), None)
        if entry is None or entry.mode not in ("100644", "100755"):
            raise UsageError(f"-S: {file} is no file that Git tracks.", f"git add {file}, or name another file.")
        before = git.run("cat-file", "blob", entry.oid).out
        after = overrides.apply(file, before, values)
        if after != before:
            changed[path] = after
    return changed


def written(point: overrides.Point) -> tuple[str, ...]:
    """Return the overrides as they are given on a command line."""
    pairs = ((file, value) for file, values in point.items() for value in values)
    return tuple(value if file == "params.yaml" else f"{file}:{value}" for file, value in pairs)
