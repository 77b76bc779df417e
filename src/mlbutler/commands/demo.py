"""`mlbutler demo`: the whole story on real data, in a new folder, offline."""

from __future__ import annotations

import dataclasses
import json
from importlib.util import find_spec
from pathlib import Path

from mlbutler.console import Console
from mlbutler.errors import EXIT_PASSED, UsageError

_REMEDY = "Name a new folder: mlbutler demo DIR"


def demo(directory: Path, console: Console) -> int:
    """Tell the story in `directory`, which must be empty or new; returns the exit code.

    Raises:
        UsageError: the folder is not empty or cannot be made, or the demo's libraries are not installed.
        StoryBroken: something did not happen as told.
    """
    if any(find_spec(name) is None for name in ("sklearn", "PIL")):
        raise UsageError("The demo trains with scikit-learn and Pillow.", "pip install 'mlbutler[demo]'")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        occupied = any(directory.iterdir())
    except OSError as error:
        raise UsageError(f"{directory} cannot be used: {error.strerror}.", _REMEDY) from error
    if occupied:
        raise UsageError(f"{directory} is not empty.", _REMEDY)

    from mlbutler.demo.story import tell

    outcome = tell(directory, console)
    if console.json:
        print(json.dumps(dataclasses.asdict(outcome), indent=2, ensure_ascii=False, default=str))
    return EXIT_PASSED
