"""Compare data and models by what is recorded; of files only tables in cache or mirror are opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from mlbutler.comparison.schema import Tables
from mlbutler.comparison.snapshot import ArtifactState, Stored
from mlbutler.record import DataChange, FolderChange

_EXAMPLES = 20
_FOLDERS = 30
_ARROW = " \N{RIGHTWARDS ARROW} "
_NONE: Mapping[str, Stored] = {}


def compare_data(
    old: Mapping[str, ArtifactState],
    new: Mapping[str, ArtifactState],
    old_tables: Mapping[str, Stored] = _NONE,
    new_tables: Mapping[str, Stored] = _NONE,
) -> tuple[DataChange, ...]:
    """Return artifacts that were added, removed, renamed or changed.

    For directories the files are compared, where manifests are in cache or mirror.

    Args:
        old_tables, new_tables: tables among the artifacts' files, which may be in cache or mirror or not.
    """
    tables = Tables(old_tables, new_tables)
    renamed = _find_renames({p: a.hash for p, a in old.items()}, {p: a.hash for p, a in new.items()})
    changes = []
    for path in sorted({*old, *new} - set(renamed.values())):
        before, after = old.get(renamed.get(path, path)), new.get(path)
        if path in renamed and after is not None:
            changes.append(_rename_change(renamed[path], after))
        elif before is None or after is None or before.hash != after.hash:
            changes.append(_change(path, before, after, tables))
    return tuple(changes)


def _find_renames(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """Map new name -> old name of what has the same hash under another name; each is used once."""
    gone: dict[str, list[str]] = {}
    for name in sorted(old.keys() - new.keys(), reverse=True):
        gone.setdefault(old[name], []).append(name)
    return {name: gone[new[name]].pop() for name in sorted(new.keys() - old.keys()) if gone.get(new[name])}


def _rename_change(old_path: str, artifact: ArtifactState) -> DataChange:
    return DataChange(
        path=artifact.path,
        kind="renamed",
        old_path=old_path,
        old_size=artifact.size,
        new_size=artifact.size,
        old_files=artifact.files,
        new_files=artifact.files,
    )


def _change(path: str, before: ArtifactState | None, after: ArtifactState | None, tables: Tables) -> DataChange:
    kind = "added" if before is None else "removed" if after is None else "changed"
    sides = [side for side in (before, after) if side is not None]
    problem = next((side.problem for side in sides if side.problem), "")
    counted = any(side.directory for side in sides) and all(
        side.entries is not None for side in sides if side.directory
    )
    files = _compare_files(before, after) if counted else {}
    names = [f"{path}/{name}" for what in ("changed", "added", "removed") for name in files.get(what, ())]
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
        files_renamed=len(files["renamed"]) if files else None,
        examples=tuple((what, name) for what, names in files.items() for name in names[:_EXAMPLES])[:_EXAMPLES],
        folders=_count_by_folder(files),
        tables=tables.compare([path, *names]),
        reason=problem,
    )


def _count_by_folder(files: Mapping[str, list[str]]) -> tuple[FolderChange, ...]:
    """Count the files of each kind that differ in each folder; nothing where there is but one folder."""
    counts: dict[str, Counter[str]] = {}
    for kind, names in files.items():
        for name in names:  # what was renamed counts where it is now
            path = name.rpartition(_ARROW)[2]
            counts.setdefault(path.partition("/")[0] if "/" in path else "", Counter())[kind] += 1
    if len(counts) < 2:
        return ()
    order = sorted(counts, key=lambda folder: (-counts[folder].total(), folder))
    return tuple(FolderChange(folder=folder, **counts[folder]) for folder in order[:_FOLDERS])


def _compare_files(before: ArtifactState | None, after: ArtifactState | None) -> dict[str, list[str]]:
    old = {entry.path: entry.hash for entry in (before.entries or ())} if before else {}
    new = {entry.path: entry.hash for entry in (after.entries or ())} if after else {}
    moved = _find_renames(old, new)
    return {
        "added": sorted(new.keys() - old.keys() - moved.keys()),
        "removed": sorted(old.keys() - new.keys() - set(moved.values())),
        "changed": sorted(name for name in new.keys() & old.keys() if new[name] != old[name]),
        "renamed": [f"{old_name}{_ARROW}{name}" for name, old_name in moved.items()],
    }
