"""Lose the agent of a verb: ``python -m tests.integration.lost_agent BEGUN VERB``.

The verb and what it started are killed once there is a file BEGUN. What a stage made is worth keeping in the mirror
after a tenth of a second of work, for which it takes ten seconds otherwise.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time
from pathlib import Path

from mlbutler.steps import reproduce
from tests import forked_children

BEGUN, VERB = Path(sys.argv[1]), sys.argv[2]


def lose() -> None:
    while not BEGUN.exists():
        time.sleep(0.02)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    os.setsid()
    reproduce._WORTH_KEEPING = 0.1
    sys.argv[1:] = [VERB]
    forked_children.stand_by(["mlbutler", VERB])
    threading.Thread(target=lose, daemon=True).start()
    runpy.run_module("mlbutler", run_name="__main__", alter_sys=True)
