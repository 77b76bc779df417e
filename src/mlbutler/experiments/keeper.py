"""Run a command, and restart it when it is killed, so that experiments that wait need nobody.

It is started as ``python -m mlbutler.experiments.keeper FD COMMAND...``. The kernel tells it, as the parent, how the
command ended, so that it needs no lock and no clock for that; it imports next to nothing, and is small where a machine
without memory chooses whom to kill. A worker whose keeper is gone hands over to a new one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

_ASKED = (-signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)
_SOON = 30.0
_MOST = 3
"""Times in a row that it may be killed within `_SOON` seconds: then there is no room for it."""
_NONE = "-"


def start(command: Sequence[str], cwd: str, log: str, ready: int | None = None) -> None:
    """Start a command and its keeper, without a terminal.

    Args:
        log: a file for what they say. ready: a descriptor that the command gets as its last argument, the first time.
    """
    own = [] if ready is None else [ready]
    with open(log, "ab") as out:  # noqa: PTH123 - see above of imports
        subprocess.Popen(
            [sys.executable, "-P", "-m", "mlbutler.experiments.keeper", *(map(str, own) if own else [_NONE]), *command],
            cwd=cwd, pass_fds=own, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True,  # so that it outlives the terminal
        )  # fmt: skip


def main(command: Sequence[str], ready: int | None) -> int:
    """Return the exit code of the first run that was not killed; being asked to end does not count as killed."""
    killed = 0
    while True:
        began = time.monotonic()
        code = _run(command, ready)
        ready = None
        if code >= 0 or code in _ASKED:
            return max(code, 0)
        killed = killed + 1 if time.monotonic() - began < _SOON else 1
        print(f"killed by signal {-code}", file=sys.stderr, flush=True)
        if killed == _MOST:
            return 1


def _run(command: Sequence[str], ready: int | None) -> int:
    own = [] if ready is None else [ready]
    with subprocess.Popen([*command, *map(str, own)], pass_fds=own) as process:
        for fd in own:
            os.close(fd)
        return process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[2:], None if sys.argv[1] == _NONE else int(sys.argv[1])))
