"""Find the stages whose results a change brings: entries of dvc.lock that differ from another commit's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlbutler.parsing import Unreadable, decoded, parse_yaml
from mlbutler.project.model import Stages

Content = Callable[[str], bytes | None]
"""A file's content, by its path from the project's root; None where there is none."""


def claimed_stages(stages: Stages, before: Content, now: Content) -> tuple[str, ...]:
    """Return the stages whose entry in dvc.lock is new or differs, in order; all where a dvc.lock cannot be read."""
    files: dict[str, tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]] = {}
    found = []
    for stage in stages.pipeline():
        if stage.lock_file not in files:
            files[stage.lock_file] = _entries(before(stage.lock_file)), _entries(now(stage.lock_file))
        old, new = files[stage.lock_file]
        key = stage.name.rpartition(":")[2]
        # Compared as text: NaN differs from itself.
        if old is None or new is None or (key in new and repr(old.get(key)) != repr(new[key])):
            found.append(stage.name)
    return tuple(found)


def _entries(content: bytes | None) -> Mapping[str, Any] | None:
    """Return the stages of a dvc.lock, none of one that does not exist; None where it cannot be read."""
    if content is None:
        return {}
    try:
        found = parse_yaml(decoded(content))
    except Unreadable:
        return None
    stages = found.get("stages") if isinstance(found, Mapping) else None
    return stages if isinstance(stages, Mapping) else None
