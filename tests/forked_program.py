"""A program that has a command run by the process of `tests.forking`, as ``python -m MODULE`` would run it.

Its arguments are that process' folder, names of variables parted by commas, the module, and the module's own. Those
variables matter to what the command starts, and not to its own interpreter. It takes the modules that are part of the
interpreter: to import `json` and `socket` costs more than all that it does.
"""

from __future__ import annotations

import _socket
import marshal
import os
import sys
from _json import encode_basestring_ascii as quoted


def _main(folder: str, passed: str, *arguments: str) -> None:
    with open(f"{folder}/at-start", "rb") as file:  # noqa: PTH123
        at_start = marshal.load(file)
    prefixes = ("PYTHON", "LC_", "LANG", "LD_", "FSSPEC_")
    now = {name: value for name, value in os.environ.items() if name.startswith(prefixes)}
    free = {"PYTHONDONTWRITEBYTECODE", *passed.split(",")}  # a fork can be given the first
    if any(now.get(name) != at_start.get(name) for name in (now.keys() | at_start.keys()) - free):
        os.execv(sys.executable, [sys.executable, "-m", *arguments])
    code = _code(folder, _request([sys.executable, "-m", *arguments]))
    if code < 0:
        _end_by(-code)
    os._exit(code)


def _end_by(number: int) -> None:
    import signal

    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _request(command: list[str]) -> bytes:
    """Return the request as JSON; see `tests.forked_children`."""
    mask = os.umask(0)
    os.umask(mask)
    words = ", ".join(map(quoted, command))
    environ = ", ".join(f"{quoted(name)}: {quoted(value)}" for name, value in os.environ.items())
    return (
        f'{{"command": [{words}], "cwd": {quoted(os.getcwd())}, "environ": {{{environ}}}, '  # noqa: PTH109
        f'"files": [0, 1, 2], "session": false, "umask": {mask}, "orphan": false}}'
    ).encode()


def _code(folder: str, content: bytes) -> int:
    """Return the command's exit code, negative where a signal ended it."""
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.connect(f"{folder}/socket")
    files = b"".join(file.to_bytes(4, sys.byteorder) for file in (0, 1, 2))
    connection.sendmsg([len(content).to_bytes(8, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)])
    connection.sendall(content)
    answer = b""
    while not answer.endswith(b"\n") and (part := connection.recv(64)):
        answer += part
    return int(answer)


_main(*sys.argv[1:])
