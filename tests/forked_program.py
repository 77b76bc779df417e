"""A program that has a command run by the process of `tests.forking`, as ``python -m MODULE`` would run it.

Its arguments are that process' folder, names of variables parted by commas, the module, and the module's own. Those
variables matter to what the command starts, and not to its own interpreter. It imports as little as it can.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys


def _main(folder: str, passed: str, *arguments: str) -> None:
    with open(f"{folder}/at-start.json", encoding="utf-8") as file:  # noqa: PTH123
        at_start = json.load(file)
    prefixes = ("PYTHON", "LC_", "LANG", "LD_", "FSSPEC_")
    now = {name: value for name, value in os.environ.items() if name.startswith(prefixes)}
    free = {"PYTHONDONTWRITEBYTECODE", *passed.split(",")}  # a fork can be given the first
    if any(now.get(name) != at_start.get(name) for name in (now.keys() | at_start.keys()) - free):
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
