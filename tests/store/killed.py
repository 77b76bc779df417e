"""Run as a program: starts transfers in children and kills each at a random moment.

``python -m tests.store.killed WHAT URL CACHE MIRROR SEED TIMES MANIFEST LOSES...`` with WHAT ``bring`` or ``send``; the
folders LOSES lose most of their files before each one, so that there is something left to do. A process of its own,
because a child that is forked beside the threads of a test server might never start.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

from mlbutler.store.engine import bring
from mlbutler.store.holdings import local_objects
from mlbutler.store.http.store import HttpStore
from mlbutler.store.interface import Need, ObjectId
from mlbutler.store.local import LocalStore
from mlbutler.store.retry import RetryPolicy
from mlbutler.store.send import send_to_store


def transfer(what: str, url: str, cache: Path, mirror: Path, manifest: ObjectId) -> int:
    """One transfer to its end; the exit code."""
    remote = HttpStore("origin", url, {}, environ={}, policy=RetryPolicy(attempts=2, pause=0.01))
    near = LocalStore("cache", cache)
    if what == "send":
        return len(send_to_store(local_objects(near, [manifest]), near, remote).errors)
    brought = bring([Need("data", manifest)], near, LocalStore("mirror", mirror, hardlink=True), remote)
    return len(brought.missing) + len(brought.errors)


def main(what: str, url: str, cache: str, mirror: str, seed: str, times: str, manifest: str, *loses: str) -> None:
    """Kill `times` transfers, then say how many were under way when they died.

    They die within the time that one takes on this machine, which the last one that came to its end tells; the first is
    left alone.
    """
    moments = random.Random(int(seed))
    killed, longest = 0, 0.0
    for number in range(int(times) + 1):
        for path in sorted(path for folder in loses for path in Path(folder).rglob("*")):
            if path.is_file() and moments.random() < 0.6:
                path.unlink()
        begun = time.monotonic()
        pid = os.fork()
        if pid == 0:
            os._exit(transfer(what, url, Path(cache), Path(mirror), ObjectId(manifest)))
        if number:
            time.sleep(moments.uniform(0, longest))
            os.kill(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code == -signal.SIGKILL:
            killed += 1
        else:
            longest = time.monotonic() - begun
    print(killed)
    sys.exit(transfer(what, url, Path(cache), Path(mirror), ObjectId(manifest)))


if __name__ == "__main__":
    main(*sys.argv[1:])
