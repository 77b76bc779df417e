"""When a remote was last found to lack something: what it was said to hold before that is not believed any more.

The answers themselves lie in several clones and beside mirrors that not everybody may write to, so that they cannot
all be removed. A time can be told where they are read.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from mlbutler.atomic import write
from mlbutler.errors import DiskFull
from mlbutler.store.files import make_folder

FILE = Path("mlbutler") / "lacked"


def note(folder: Path, when: float | None = None) -> None:
    """Something was lacking when it was asked for at `when` (seconds since the epoch; now).

    Args:
        folder: the mirror, or the clone's own; one that cannot be written to is done without.
    """
    file = folder / FILE
    with suppress(OSError, DiskFull):
        make_folder(file.parent)
        write(file, repr(time.time() if when is None else when).encode())


def age(folders: Iterable[Path | None]) -> float:
    """Seconds since something was lacking last, as far as these folders tell; infinite when it never was."""
    return min((_age(folder) for folder in folders if folder is not None), default=math.inf)


def _age(folder: Path) -> float:
    file = folder / FILE
    try:
        try:
            when = float(file.read_text(encoding="ascii"))
        except ValueError:  # torn
            when = file.stat().st_mtime
    except OSError:
        return math.inf
    since = time.time() - when
    if since >= 0:
        return since
    note(folder)  # a clock was ahead: it must not make us doubt for ever
    return 0.0
