"""Data and models that differ, from what is recorded; no file is opened."""

from __future__ import annotations

from collections.abc import Mapping

from mlbutler.compare.snapshot import Artifact
from mlbutler.record import DataChange

_EXAMPLES = 20


def compare_data(old: Mapping[str, Artifact], new: Mapping[str, Artifact]) -> tuple[DataChange, ...]:
    """Artifacts that were added, removed or changed; for directories the files, where manifests are at hand."""
    changes = []
    for path in sorted({*old, *new}):
        before, after = old.get(path), new.get(path)
        if before is not None and after is not None and before.hash == after.hash:
            continue
        changes.append(_change(path, before, after))
    return tuple(changes)


def _change(path: str, before: Artifact | None, after: Artifact | None) -> DataChange:
    kind = "added" if before is None else "removed" if after is None else "changed"
    sides = [side for side in (before, after) if side is not None]
    problem = next((side.problem for side in sides if side.problem), "")
    counted = any(side.directory for side in sides) and all(
        side.entries is not None for side in sides if side.directory
    )
    files = _files(before, after) if counted else None
    return DataChange(
        path=path,
        kind=kind,
        old_size=before.size if before else None,
        new_size=after.size if after else None,
        old_files=before.files if before else None,
        new_files=after.files if after else None,
        files_added=len(files["added"]) if files else None,
        files_removed=len(files["removed"]) if files else None,
        files_changed=len(files["changed"]) if files else None,
        examples=tuple((what, name) for what, names in (files or {}).items() for name in names[:_EXAMPLES])[:_EXAMPLES],
        reason=problem,
    )


def _files(before: Artifact | None, after: Artifact | None) -> dict[str, list[str]]:
    old = {entry.path: entry.hash for entry in (before.entries or ())} if before else {}
    new = {entry.path: entry.hash for entry in (after.entries or ())} if after else {}
    return {
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "changed": sorted(name for name in new.keys() & old.keys() if new[name] != old[name]),
    }
