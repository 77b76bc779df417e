"""Kill a verb as a file gets its name: ``python -m tests.integration.killed_verb ARMED WORD WHEN VERB``.

The verb and what it started are killed when a file whose path has WORD is about to get its name, or with WHEN ``after``
just has it. It happens once, while there is a file ARMED.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from pathlib import Path
from typing import Any

from tests import forked_children

ARMED = Path(sys.argv[1])
WORD, WHEN, VERB = sys.argv[2:]
STARTER = os.getppid()
struck = striking = False


def strike() -> None:
    """Kill mlbutler first, so that it sees nothing of its children's end."""
    global striking
    if striking:  # what follows are events too
        return
    striking = True
    try:
        ARMED.unlink()
    except FileNotFoundError:
        return
    chain = [os.getpid()]
    while True:
        parent = int(Path(f"/proc/{chain[-1]}/stat").read_text().rpartition(")")[2].split()[1])
        if parent in (STARTER, 1, 0):
            break
        chain.append(parent)
    for pid in reversed(chain):
        os.kill(pid, signal.SIGKILL)


def hook(event: str, words: tuple[Any, ...]) -> None:
    global struck
    if struck and ARMED.exists():
        strike()
    if event in ("os.rename", "os.link") and WORD in os.fsdecode(words[1]) and ARMED.exists():
        struck = True
        if WHEN != "after":
            strike()


if __name__ == "__main__":
    sys.addaudithook(hook)
    sys.argv[1:] = [VERB]
    forked_children.stand_by(["mlbutler", VERB])  # what the verb starts has the hook too
    runpy.run_module("mlbutler", run_name="__main__", alter_sys=True)
