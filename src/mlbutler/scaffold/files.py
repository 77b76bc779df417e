"""Files of a project as `init` reads them: somebody else's, so that what is missing or broken is empty."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from mlbutler.parsing import Unreadable, parse_toml


def read_text(path: Path) -> str:
    """Return a text file's content, '' when there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def read_toml(path: Path) -> Mapping[str, Any]:
    """Return a TOML file as data, empty when it is missing or broken."""
    try:
        return parse_toml(read_text(path))
    except Unreadable:
        return {}


def table(data: object, *names: str) -> Mapping[str, Any]:
    """Return the table below these names, empty where there is none or something else."""
    for name in names:
        data = data.get(name) if isinstance(data, Mapping) else None
    return data if isinstance(data, Mapping) else {}


def strings(value: object) -> tuple[str, ...]:
    """Return the texts of a list; none of anything else."""
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def first_there(root: Path, names: Iterable[str]) -> str:
    """Return the first of the files that there is, '' for none."""
    return next((name for name in names if (root / name).is_file()), "")


def inside(path: PurePosixPath) -> str | None:
    """Return a relative path without ``..``, None when it leads out of the project."""
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part != ".":
            parts.append(part)
    return None if path.is_absolute() else "/".join(parts)


def declares(root: Path, files: Iterable[str], package: str) -> bool:
    """Return whether one of the dependency files names the package."""
    pattern = re.compile(rf"(?im)(?:^|[\s\"'])-?\s*{re.escape(package)}(?=[\s\"'=<>~!\[\];,:]|$)")
    return any(pattern.search(read_text(root / file)) for file in files)
