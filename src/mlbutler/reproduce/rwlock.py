"""Repair what a killed DVC leaves behind that would stop the next one."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlbutler import atomic

_CLOCK = 2.0
"""Seconds by which a process's time of birth and a file's time may differ for one event."""


def repair_rwlock(root: Path) -> None:
    """Remove from ``.dvc/tmp/rwlock`` what would stop the next DVC.

    One that a kill cut short is removed: DVC refuses to run beside a file it cannot read. (A file that is being
    written at this moment is whole a little later, and then stays.) Entries of a dead process are dropped if its number
    is taken: by another process, or by its own remains where nobody reaps them, as in a container without an init. DVC
    asks only whether there is such a number.
    """
    path = root / ".dvc" / "tmp" / "rwlock"
    for pause in (0.3, 0.0):
        try:
            written = path.stat().st_mtime
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return
        except ValueError:
            time.sleep(pause)
            continue
        left = _of_the_living(content, written)
        if left != content:
            with suppress(OSError):
                atomic.write(path, json.dumps(left).encode())
        return
    path.unlink(missing_ok=True)


def _of_the_living(content: Any, written: float) -> Any:
    """Return the lock without entries of processes that were born after it was written.

    What has another form is kept.
    """
    if not isinstance(content, Mapping):
        return content
    reads, writes = content.get("read", {}), content.get("write", {})
    if not isinstance(reads, Mapping) or not isinstance(writes, Mapping):
        return content
    kept = {path: [info for info in infos if not _is_dead(info, written)] for path, infos in reads.items()}
    left = {
        "read": {path: infos for path, infos in kept.items() if infos or not reads[path]},
        "write": {path: info for path, info in writes.items() if not _is_dead(info, written)},
    }
    return {key: left.get(key, value) for key, value in content.items()}


def _is_dead(info: Any, written: float) -> bool:
    """Return whether the process with the recorded number is a zombie, younger than the record, or no Python."""
    import psutil

    try:
        process = psutil.Process(int(info["pid"]))
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        if process.create_time() > written + _CLOCK:
            return True
        command = " ".join(process.cmdline()).lower()
        return bool(command) and "python" not in command and "dvc" not in command
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False  # gone, which DVC sees for itself, or nothing that can be said
