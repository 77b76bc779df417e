"""What a killed DVC leaves behind that would stop the next one."""

from __future__ import annotations

import json
import time
from pathlib import Path


def remove_torn_rwlock(root: Path) -> None:
    """Remove ``.dvc/tmp/rwlock`` when a kill cut it short: DVC refuses to run beside one it cannot read.

    A file that is being written at this moment is whole a little later, and then stays.
    """
    path = root / ".dvc" / "tmp" / "rwlock"
    for pause in (0.3, 0.0):
        try:
            json.loads(path.read_text(encoding="utf-8"))
            return
        except FileNotFoundError:
            return
        except ValueError:
            time.sleep(pause)
    path.unlink(missing_ok=True)
