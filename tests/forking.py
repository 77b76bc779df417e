"""The process behind `tests.forked_python`: imports DVC and all of mlbutler, then forks for each command.

It listens on a socket at the path that is its argument, until its standard input ends. A request is its length, the
command's three streams, and a JSON object; the answer is the exit code. It has no thread and reads no project.

A verb that runs stages starts a worker, which imports DVC too. That is a child of the verb's process as it would be
otherwise, forked before the verb begins; for tests that run stages themselves it is one that they adopt.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import importlib
import inspect
import io
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

_WORKER = "mlbutler.reproduce.worker"
_PACKAGES = ("mlbutler", "dvc.commands", "dvc.repo", "dvc_data")
_MODULES = (
    "configobj", "dvc._debug", "dvc.cachemgr", "dvc.cli.parser", "dvc.daemon", "dvc.data_cloud", "dvc.lock",
    "dvc.output", "dvc.rwlock", "dvc.scm", "dvc.stage.run", "dvc.utils.strictyaml", "dvc_http", "flatten_dict",
    "flufl.lock", "fsspec.implementations.memory", "httpx", "jinja2", "networkx", "platformdirs", "psutil", "pycurl",
    "rich.live", "rich.status", "ruamel.yaml", "scmrepo.git", "tarfile", "zc.lockfile",
)  # fmt: skip
"""What DVC and mlbutler import while they work. Not pygit2, which looks for the user's settings when it is imported."""
_NO_MODULES = ("mlbutler.demo.template", "mlbutler.jenkins.server", "mlbutler.scaffold.files", _WORKER)
AT_START = ("PYTHON", "LC_", "LANG", "LD_", "FSSPEC_")
"""Variables that the interpreter, or a module, reads when it starts."""
_WITH_WORKER = ("run", "reproduce")
_STREAMS, _MOST_FILES, _ASIDE = 3, 1 << 12, 1 << 10
_LENGTH, _MOST_BYTES = 8, 1 << 20


def header(content: bytes) -> bytes:
    """Return what announces a request."""
    return len(content).to_bytes(_LENGTH, "big")


def read_at_start(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a fork cannot be given any more."""
    return {name: value for name, value in environ.items() if name.startswith(AT_START)}


def _serve(address: str) -> None:
    _import()
    gc.collect()
    gc.freeze()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen(64)
    os.write(1, b"ready\n")
    with selectors.DefaultSelector() as waiting:
        waiting.register(0, selectors.EVENT_READ)
        waiting.register(listening, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fileobj == 0:  # the tests have ended
                    return
                if key.fileobj is listening:
                    _Command(listening.accept()[0], waiting)
                else:
                    key.data()


def _import() -> None:
    names = list(_MODULES)
    for package in map(importlib.import_module, _PACKAGES):
        found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        names += [name for _, name, _ in found if not name.startswith(_NO_MODULES) and not name.endswith(".__main__")]
    for name in names:
        with suppress(ImportError):  # of an extra that is not installed, or in another release of DVC
            importlib.import_module(name)
    from dvc.cli import parser

    made = parser.get_main_parser()  # the same for each command line, and hundreds of options
    parser.get_main_parser = lambda: made


class _Command:
    """One that runs, seen from the process that forked it; killed when nobody is connected any more."""

    def __init__(self, connection: socket.socket, waiting: selectors.BaseSelector) -> None:
        self._connection, self._waiting = connection, waiting
        request, files = _received(connection)
        self._answers = not _is_for_worker(request)
        self._process = _start(request, files, connection)
        self._ended = os.pidfd_open(self._process)
        waiting.register(self._ended, selectors.EVENT_READ, self._answer)
        waiting.register(connection, selectors.EVENT_READ, self._kill)

    def _kill(self) -> None:
        with suppress(OSError, ValueError, KeyError):  # it has ended at this moment
            self._waiting.unregister(self._connection)
            signal.pidfd_send_signal(self._ended, signal.SIGKILL)

    def _answer(self) -> None:
        self._waiting.unregister(self._ended)
        os.close(self._ended)
        with suppress(KeyError):
            self._waiting.unregister(self._connection)
        _, status = os.waitpid(self._process, 0)
        with suppress(OSError):
            if self._answers:
                self._connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
        self._connection.close()


def _received(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    length, files, _, _ = socket.recv_fds(connection, _LENGTH, _MOST_FILES)
    content = b""
    while len(content) < int.from_bytes(length, "big"):
        content += connection.recv(1 << 16)
    return json.loads(content), files


def _start(request: Mapping[str, Any], files: list[int], connection: socket.socket) -> int:
    process = os.fork()
    if process:
        for file in files:
            os.close(file)
        return process
    code = 1
    try:
        if _is_for_worker(request):
            _orphan(request, files, connection)
            os._exit(0)
        _become(request, files)
        code = _run(request["arguments"])
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _is_for_worker(request: Mapping[str, Any]) -> bool:
    return "files" in request


def _become(request: Mapping[str, Any], files: list[int]) -> None:
    """Be as a new interpreter would be."""
    for stream, file in enumerate(files):
        os.dup2(file, stream)
    os.closerange(_STREAMS, _MOST_FILES)
    _new_streams()
    os.environ.clear()
    os.environ.update(request["environ"])
    time.tzset()
    os.umask(request["umask"])
    tempfile.tempdir = None
    os.chdir(request["cwd"])
    sys.path[0] = str(Path.cwd())
    if request["arguments"][0] == "mlbutler" and request["arguments"][1:2] in ([verb] for verb in _WITH_WORKER):
        _Worker().stand_by()


def _new_streams() -> None:
    for name, number in (("stdout", 1), ("stderr", 2)):
        old = getattr(sys, name)
        raw = io.BufferedWriter(io.FileIO(number, "wb", closefd=False))
        new = io.TextIOWrapper(raw, old.encoding, old.errors, line_buffering=number == 2)
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)


class _Worker:
    """The process that becomes the verb's worker, once that is asked for; the second worker is started as usual."""

    def __init__(self) -> None:
        self._near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = os.fork()
        if not self._process:
            self._near.close()
            _wait_for_work(far)
        far.close()

    def stand_by(self) -> None:
        """Have `subprocess` take this process for the next worker."""
        replace = workers_from(self._begin)
        replace.__enter__()

    def _begin(self, request: Mapping[str, Any], files: list[int]) -> int | None:
        if self._near.fileno() < 0:
            return None
        socket.send_fds(self._near, [json.dumps(request).encode()], files)
        self._near.close()
        return self._process


@contextmanager
def workers_from(begin: Callable[[Mapping[str, Any], list[int]], int | None]) -> Iterator[None]:
    """Have `subprocess` start mlbutler's workers so, while the block runs.

    Args:
        begin: takes what `_become_worker` takes; returns the id of a child of this process, None to have the worker
            started as usual.
    """
    start = subprocess.Popen._execute_child  # type: ignore[attr-defined]
    signature, at_start = inspect.signature(start), read_at_start(os.environ)
    pipes = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")

    def execute_child(popen: subprocess.Popen[bytes], *arguments: object) -> None:
        given = signature.bind(popen, *arguments).arguments
        words, process = list(given["args"]), None
        if _WORKER in words and read_at_start(given["env"]) == {"PYTHONDONTWRITEBYTECODE": "1"} | at_start:
            request = {"arguments": words[words.index(_WORKER) :], "cwd": str(given["cwd"]), "environ": given["env"],
                       "files": [0, 1, 2, *given["pass_fds"]]}  # fmt: skip
            files = [given[name] for name in ("p2cread", "c2pwrite", "errwrite")]
            process = begin(request, [*files, *given["pass_fds"]])
        if process is None:
            start(popen, *arguments)
        else:
            popen.pid, popen._child_created = process, True  # type: ignore[attr-defined]
            popen._close_pipe_fds(*(given[name] for name in pipes))  # type: ignore[attr-defined]

    subprocess.Popen._execute_child = execute_child  # type: ignore[attr-defined]
    try:
        yield
    finally:
        subprocess.Popen._execute_child = start  # type: ignore[attr-defined]


def _wait_for_work(far: socket.socket) -> NoReturn:
    """Become the worker that is asked for; end with the verb's process where none is."""
    try:
        content, files, _, _ = socket.recv_fds(far, _MOST_BYTES, _MOST_FILES)
        if content:
            _become_worker(json.loads(content), files)
    finally:
        os._exit(1)


def _orphan(request: Mapping[str, Any], files: list[int], connection: socket.socket) -> None:
    """Fork a worker that becomes a child of the tests' process, which adopts orphans, and tell it the worker's id."""
    ours = os.getpid()
    if not os.fork():
        while os.getppid() == ours:
            time.sleep(0.001)
        connection.sendall(b"%d\n" % os.getpid())
        _become_worker(request, files)


def _become_worker(request: Mapping[str, Any], files: list[int]) -> NoReturn:
    """Be the worker that `subprocess` was to start.

    Args:
        request: its arguments, directory, environment, and the numbers that its files have to have.
    """
    code = 1
    try:
        os.setsid()
        aside = [fcntl.fcntl(file, fcntl.F_DUPFD, _ASIDE) for file in files]
        os.closerange(_STREAMS, _ASIDE)
        for file, number in zip(aside, request["files"], strict=True):
            os.dup2(file, number)
        os.closerange(_ASIDE, _MOST_FILES)
        _new_streams()
        os.environ.clear()
        os.environ.update(request["environ"])
        os.chdir(request["cwd"])
        del sys.path[0]
        sys.dont_write_bytecode = True
        code = _run(request["arguments"])
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _run(arguments: list[str]) -> int:
    """Run a module as a program, to what an interpreter does at its end; returns the exit code."""
    sys.argv = list(arguments)
    code = 0
    try:
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    except SystemExit as stop:
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    _serve(sys.argv[1])
