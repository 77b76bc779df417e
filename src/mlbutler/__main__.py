"""The program: ``mlbutler``, ``python -m mlbutler``."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from typing import NoReturn

_GC_THRESHOLD = 100_000


def program() -> NoReturn:
    """Run the command line in a process of its own.

    DVC's modules are hundred thousands of objects that live to the end: looking through them for garbage again and
    again while they are made, and taking them apart before the process ends, would cost more than most verbs.
    """
    gc.set_threshold(_GC_THRESHOLD, 50, 100)
    from mlbutler.cli import main

    code = 0
    try:
        main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:  # whoever read our output has left
        pass
    os._exit(code)


if __name__ == "__main__":
    program()
