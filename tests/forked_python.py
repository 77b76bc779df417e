"""``python -m mlbutler ...`` and ``python -m dvc ...`` without the second that importing DVC takes.

One process imports both, and forks for each command (`tests.forking`). So a command is a process of its own, with the
environment, working directory, streams and exit code that were asked for. Tests of imports, of signals, and of how
the interpreter starts, start a real one with `subprocess`.
"""

from __future__ import annotations

import atexit
import functools
import io
import json
import marshal
import os
import selectors
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import AnyStr

from mlbutler import linux
from tests import forked_children, forking

_FORKS = hasattr(os, "pidfd_open")  # on Linux
_ROOT = Path(__file__).parents[1]
_ROOM = " " * 8000
"""For the commands of what is forked, in the list of processes."""


def run(
    *arguments: str, cwd: Path | str, env: Mapping[str, str] | None = None, timeout: float = 1800, mounts: int = 0
) -> subprocess.CompletedProcess[str]:
    """Return what came of ``python -m ARGUMENTS``, as ``subprocess.run`` does with its output captured as text.

    Args:
        mounts: a process in `cwd` whose mounts it sees, if not this one's.
    """
    environ = dict(os.environ if env is None else env)
    if not _can_be_forked(environ):
        environ |= {"PYTHONPATH": str(_ROOT)} if arguments[0].startswith("tests.") else {}
        there = ["nsenter", f"--target={mounts}", "--mount", "--wd"] if mounts else []
        return subprocess.run(
            [*there, sys.executable, "-m", *arguments], cwd=cwd, env=environ, capture_output=True, text=True,
            errors="replace", check=False, timeout=timeout,
        )  # fmt: skip
    request = {
        "command": [sys.executable, "-m", *arguments], "cwd": os.fspath(cwd), "environ": environ, "files": [0, 1, 2],
        "session": False, "umask": _umask(), "orphan": False, "mounts": mounts,
    }  # fmt: skip
    code, out, err = _server().answer(request, time.monotonic() + timeout)
    return subprocess.CompletedProcess(["python", "-m", *arguments], code, out, err)


def preload(*modules: str) -> None:
    """Have what is forked from now on spared the import of what only some tests need."""
    if _FORKS:
        _server().preload(modules)


@contextmanager
def forked_workers() -> Iterator[None]:
    """Have what mlbutler starts of its own, such as workers that run stages, forked in this process too."""
    undo = forked_children.fork_what_is_started(_child_of_mlbutler)
    try:
        yield
    finally:
        undo()


class Popen(subprocess.Popen[AnyStr]):
    """``python -m mlbutler ...``, as `subprocess.Popen` starts it; signals reach it as they do there."""

    def _execute_child(self, *arguments: object) -> None:
        if not forked_children.begins(self, arguments, _child):
            super()._execute_child(*arguments)  # type: ignore[misc]


def _child_of_mlbutler(request: forked_children.Request, files: list[int]) -> int | None:
    return _child(request, files) if forked_children.is_safe(request["command"]) else None  # as tests' own are not


def _child(request: forked_children.Request, files: list[int]) -> int | None:
    if not _can_be_forked(request["environ"]):
        return None
    return _server().child({**request, "umask": _umask(), "orphan": True}, files)


def write_program(path: Path, module: str, *, passed: Collection[str] = (), first: str = "") -> None:
    """Write a program that does what ``python -m MODULE`` does, for scripts to call.

    Signals to it do not reach the command, which is killed when it ends.

    Args:
        passed: variables that matter to what the command starts alone, such as PYTHONPATH. first: the first argument
            of a command that is a new interpreter, which signals reach.
    """
    program = Path(__file__).with_name("forked_program.py")
    words = (sys.executable, "-I", "-S", str(program), _server().folder, ",".join(passed), module)
    usual = f'[ "$1" != {first} ] || exec python -m {module} "$@"\n' if first else ""
    path.write_text(f'#!/bin/sh\n{usual}exec {shlex.join(words)} "$@"\n')
    path.chmod(0o755)


def _can_be_forked(environ: Mapping[str, str]) -> bool:
    """Would a new interpreter find the same when it starts?"""
    settings = Path(environ.get("HOME", "/"), ".config", "fsspec")  # fsspec reads it when it is imported
    return (
        _FORKS
        and not settings.exists()
        and forked_children.read_at_start(environ) == forked_children.read_at_start(_server().environ)
    )


def _umask() -> int:
    """Return this process' mask without changing it, which other threads would notice."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("Umask:")[2].split()[0], 8)


class _Server:
    """The process that forks; it ends with this one."""

    def __init__(self) -> None:
        self.environ = dict(os.environ)
        self._temporary = tempfile.TemporaryDirectory(prefix="mlbutler-fork-")
        self.folder = self._temporary.name
        self._address = str(Path(self.folder, "socket"))
        Path(self.folder, "at-start").write_bytes(marshal.dumps(forked_children.read_at_start(self.environ)))
        self._process = subprocess.Popen(
            [sys.executable, "-m", forking.__name__, self._address, _ROOM], cwd=_ROOT, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"
        atexit.register(self._stop)

    def answer(self, request: Mapping[str, object], until: float) -> tuple[int, str, str]:
        """Return exit code, standard output and error of a command.

        Args:
            until: when it is killed (monotonic).
        """
        content = json.dumps(request).encode()
        with ExitStack() as stack:
            connection = stack.enter_context(socket.socket(socket.AF_UNIX))
            connection.connect(self._address)
            streams = [stack.enter_context(_Stream()) for _ in range(2)]
            nothing = stack.enter_context(Path(os.devnull).open("rb"))
            files = [nothing.fileno(), *(stream.writer for stream in streams)]
            socket.send_fds(connection, [forking.header(content)], files)
            connection.sendall(content)
            for stream in streams:
                stream.close_writer()
            _read(streams, until)
            connection.settimeout(max(1.0, until - time.monotonic()))
            code = connection.makefile("rb").readline()
        assert code, "the process that forks has ended"
        return int(code), streams[0].text(), streams[1].text()

    def child(self, request: Mapping[str, object], files: list[int]) -> int:
        """Return the id of a process that is a child of this one."""
        linux.adopt_orphans()
        content = json.dumps(request).encode()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self._address)
            socket.send_fds(connection, [forking.header(content)], files)
            connection.sendall(content)
            return int(connection.makefile("rb").readline())

    def preload(self, modules: Collection[str]) -> None:
        content = json.dumps({"import": modules}).encode()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self._address)
            socket.send_fds(connection, [forking.header(content)], [])
            connection.sendall(content)
            assert connection.makefile("rb").readline() == b"0\n"

    def _stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:  # something that the tests left behind holds its standard input
            self._process.kill()
            self._process.wait()
        self._temporary.cleanup()


@functools.cache
def _server() -> _Server:
    return _Server()


class _Stream:
    """A pipe that a command writes to."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self._open = {self.reader, self.writer}
        self._parts: list[bytes] = []

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open:
            os.close(file)

    def close_writer(self) -> None:
        self._open.remove(self.writer)
        os.close(self.writer)

    def read(self) -> bool:
        """Take what was written; False at its end."""
        self._parts.append(os.read(self.reader, 1 << 16))
        return bool(self._parts[-1])

    def text(self) -> str:
        return io.TextIOWrapper(io.BytesIO(b"".join(self._parts)), errors="replace").read()


def _read(streams: list[_Stream], until: float) -> None:
    with selectors.DefaultSelector() as waiting:
        for stream in streams:
            waiting.register(stream.reader, selectors.EVENT_READ, stream)
        while waiting.get_map():
            for key, _ in waiting.select(max(0.0, until - time.monotonic())):
                if not key.data.read():
                    waiting.unregister(key.fileobj)
            if time.monotonic() > until:  # nobody is connected any more, so the command is killed
                raise TimeoutError("the command took too long")
