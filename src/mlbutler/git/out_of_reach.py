"""Files that the project's code, which runs as the same user, cannot write."""

from __future__ import annotations

import os
from pathlib import Path


def is_out_of_reach(path: Path) -> bool:
    """Return whether the file exists and this user can neither write nor replace it; always False for root."""
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return False
    places = {real, *real.parents, *path.absolute().parents}
    return not any(place.lstat().st_uid == os.geteuid() or os.access(place, os.W_OK) for place in places)
