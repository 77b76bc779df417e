"""Entries of dvc.lock whose stage no dvc.yaml declares any more. DVC keeps them forever."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import yaml

from mlbutler import atomic
from mlbutler.yaml_file import parse


def take_out(root: Path, leftovers: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Remove the entries from their dvc.lock, and nothing else; return the names of those that were removed.

    Args:
        leftovers: (path of a dvc.lock from `root`, name of an entry), as `Stages.orphans` has them: a project with a
            dvc.yaml that cannot be read, or whose stages cannot be made, has none.
    """
    names: dict[str, list[str]] = {}
    for lock, name in leftovers:
        names.setdefault(lock, []).append(name)
    removed: list[str] = []
    for lock, gone in names.items():
        path = root / lock
        try:
            if path.is_symlink() or (text := without(path.read_text(encoding="utf-8"), gone)) is None:
                continue
            mode = path.stat().st_mode & 0o7777
            atomic.write(path, text.encode())
            path.chmod(mode)
        except (OSError, UnicodeDecodeError):  # it stays, which is only a note of `check`
            continue
        removed += gone
    return tuple(removed)


def without(text: str, names: Collection[str]) -> str | None:
    """Return the text of a dvc.lock without these entries, every other byte as it was; None when that is impossible.

    >>> without("schema: '2.0'\\nstages:\\n  old:\\n    cmd: x\\n  new:\\n    cmd: y\\n", ["old"])
    "schema: '2.0'\\nstages:\\n  new:\\n    cmd: y\\n"
    """
    try:
        before = parse(text)
        lines = text.splitlines(keepends=True)
        for start, end in reversed(_places(text, names, len(lines))):
            del lines[start:end]
        after = parse("".join(lines))
        stages = {name: entry for name, entry in before["stages"].items() if name not in names}
        # Compared as text: NaN differs from itself.
        return "".join(lines) if stages and repr(after) == repr({**before, "stages": stages}) else None
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _places(text: str, names: Collection[str], last: int) -> list[tuple[int, int]]:
    """Return (first line, line behind the last) of each of the entries, in order."""
    document: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    sections: list[Any] = [*document.value]
    [number] = [place for place, (key, _) in enumerate(sections) if key.value == "stages"]
    behind = sections[number + 1][0].start_mark.line if number + 1 < len(sections) else last
    entries = sections[number][1].value
    ends = [*(key.start_mark.line for key, _ in entries[1:]), behind]
    return [(key.start_mark.line, end) for (key, _), end in zip(entries, ends, strict=True) if key.value in names]
