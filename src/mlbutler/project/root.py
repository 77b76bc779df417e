"""Find the DVC project that holds a directory."""

from __future__ import annotations

import shlex
from pathlib import Path

from mlbutler.errors import UsageError


def find_root(directory: Path) -> Path:
    """Return the root of the DVC project that holds `directory`.

    Raises:
        UsageError: there is none, or several lie below.
    """
    start = directory.resolve()
    for candidate in (start, *start.parents):
        if (candidate / ".dvc").is_dir():
            return candidate
        if (candidate / ".git").exists():
            break
    below = sorted(path.parent for path in start.glob("*/.dvc") if path.is_dir())
    below += sorted(path.parent for path in start.glob("*/*/.dvc") if path.is_dir())
    if below:
        names = ", ".join(str(path.relative_to(start)) for path in below[:5])
        choice = f"Choose one: -C {shlex.quote(str(below[0]))}"
        raise UsageError(f"No DVC project at {start}, but below it: {names}", choice)
    raise UsageError(f"Not a DVC project: {start}", "Run `dvc init` there, or pass -C DIR.")
