"""Implement `mlbutler demo`: the whole story on real data, in a new folder, offline."""

from __future__ import annotations

import dataclasses
import json
import shutil
from importlib.util import find_spec
from pathlib import Path

from mlbutler.console import Console, human_bytes
from mlbutler.errors import EXIT_PASSED, DiskFull, Interrupted, UsageError
from mlbutler.extras import how_to_get

_REMEDY = "Name a new folder: mlbutler demo DIR"
_NEEDED = 64 * 1024 * 1024
"""Bytes that the finished demo takes on disk, with room to spare."""

_OWN = (
    ("mlbutler doctor", "what this machine lacks"),
    ("mlbutler plan", "which stages are stale, and why"),
    ("mlbutler run", "all of it, and nothing leaves your machine"),
    ("mlbutler init", "what your CI server needs"),
)


def demo(directory: Path, console: Console, *, shown: bool = False) -> int:
    """Tell the story in `directory`, which must be empty or new; return the exit code.

    Args:
        shown: serve what it made to a browser, until Ctrl-C.

    Raises:
        UsageError: the folder is not empty or cannot be made, or the demo's libraries are not installed.
        DiskFull: there is no room for it. Interrupted: what was made until then is left.
        StoryBroken: something did not happen as told.
    """
    if any(find_spec(name) is None for name in ("sklearn", "PIL")):
        raise UsageError("The demo needs the pictures of scikit-learn, and Pillow.", how_to_get("demo"))
    try:
        directory.mkdir(parents=True, exist_ok=True)
        occupied = any(directory.iterdir())
    except OSError as error:
        raise UsageError(f"{directory} cannot be used: {error.strerror}.", _REMEDY) from error
    if occupied:
        raise UsageError(f"{directory} is not empty.", _REMEDY)

    if (free := shutil.disk_usage(directory).free) < _NEEDED:
        said = f"The demo takes up to {human_bytes(_NEEDED)}, and {directory} has {human_bytes(free)} left."
        raise DiskFull(said, "Name a folder on another disk: mlbutler demo DIR")

    from mlbutler.demo.pages import serve, write_pages
    from mlbutler.demo.story import tell

    try:
        outcome = tell(directory, console)
        page = write_pages(outcome, directory.resolve())
    except (KeyboardInterrupt, Interrupted) as stop:
        remedy = f"What was made is in {directory}. To see the whole demo, name a new folder: mlbutler demo DIR"
        raise Interrupted("Interrupted.", remedy) from stop
    if console.json:
        print(json.dumps(dataclasses.asdict(outcome), indent=2, ensure_ascii=False, default=str))
    console.line(f"Open {page} in a browser. In a project of your own, begin with:\n")
    for command, what in _OWN:
        console.line(f"  {command:<20} {what}")
    if shown:
        serve(directory.resolve(), console)
    return EXIT_PASSED
