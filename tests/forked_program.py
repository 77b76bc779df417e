"""A program that has a command run by the process of `tests.forking`, as ``python -m MODULE`` would run it.

Its arguments are that process' folder, the module, and the module's own. It imports as little as it can.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys


def _main(folder: str, *arguments: str) -> None:
    with open(f"{folder}/at-start.json", encoding="utf-8") as file:  # noqa: PTH123
        at_start = json.load(file)
    prefixes = ("PYTHON", "LC_", "LANG", "LD_", "FSSPEC_")
    if {name: value for name, value in os.environ.items() if name.startswith(prefixes)} != at_start:
        os.execv(sys.executable, [sys.executable, "-m", *arguments])
    mask = os.umask(0)
    os.umask(mask)
    request = {
        "command": [sys.executable, "-m", *arguments], "cwd": os.getcwd(), "environ": dict(os.environ),  # noqa: PTH109
        "files": [0, 1, 2], "session": False, "umask": mask, "orphan": False,
    }  # fmt: skip
    content = json.dumps(request).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"{folder}/socket")
        socket.send_fds(connection, [len(content).to_bytes(8, "big")], [0, 1, 2])
        connection.sendall(content)
        code = int(connection.makefile("rb").readline())
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), -code)
    os._exit(code)


_main(*sys.argv[1:])
