"""Let runs of one stage with the same inputs, which share DVC's cache, wait for one another: the first works for all.

Of the experiments of a sweep the first stages are often the same. Who waits looks into DVC's run cache afterwards, as
DVC does before each run; where the first has failed, or was killed, it runs the stage itself. All locks are bytes of
one file, at a place that the run's key names, and the machine lets go of one when the process that runs the stage
ends, however it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Any

from mlbutler.shared_folders import make_folder, share

FILE = "mlbutler/running.lock"
"""Below DVC's cache."""
_DIGITS = 15  # of the key: as many as fit into an offset


def wait_for_the_same(stage_cache: Any) -> None:
    """Make DVC, in this process, wait for another run of what it is about to run, and hold the lock of its own.

    Args:
        stage_cache: DVC's run cache.
    """
    from dvc.stage.cache import RunCacheNotFoundError, _can_hash, _get_stage_hash

    restore = stage_cache.restore

    def restore_or_wait(stage: Any, *args: Any, **options: Any) -> Any:
        before = [(dep, dep.hash_info, dep.meta) for dep in stage.deps]
        try:
            return restore(stage, *args, **options)
        except RunCacheNotFoundError:
            if options.get("dry") or not _can_hash(stage):
                raise
            if not _acquire(Path(stage_cache.cache_dir).parent / FILE, _get_stage_hash(stage), stage):
                raise
        for dep, hash_info, meta in before:  # looking has taken over what they are now: DVC would find nothing changed
            dep.hash_info, dep.meta = hash_info, meta
        return restore(stage, *args, **options)

    stage_cache.restore = restore_or_wait


def _acquire(path: Path, key: str, stage: Any) -> bool:
    """Take the lock of a run, which is held until this process ends; return whether another one was waited for."""
    from dvc.stage.decorators import unlocked_repo

    with contextlib.suppress(OSError):  # of a cache that cannot be written to DVC itself says what is wrong
        make_folder(path.parent)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with contextlib.suppress(OSError):  # another user made it
            share(path)
        place = int(key[:_DIGITS], 16)
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except BlockingIOError:
            print(f"Stage '{stage.addressing}' runs with the same inputs elsewhere: waiting for it", flush=True)
            unlocked_repo(lambda _: fcntl.lockf(fd, fcntl.LOCK_EX, 1, place))(stage)  # as while a stage runs
            return True
    return False
