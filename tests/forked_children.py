"""Have commands of ours that a process starts forked from one that has imported all, instead of a new interpreter.

What is forked is a child of the process that starts it, as it would be otherwise: same parent, files, directory,
environment, session, and command in the list of processes. It has nothing of what its parent found out: it comes from a
process that was forked before the parent began to work (`stand_by`), or from that of `tests.forking`.
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import inspect
import io
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

MODULES = ("dvc", "mlbutler", "mlbutler.reproduce.worker", "mlbutler.experiments.keeper", "mlbutler.experiments.worker")
"""What is started as ``python -m MODULE``."""
AT_START = ("PYTHON", "LC_", "LANG", "LD_", "FSSPEC_")
"""Variables that the interpreter, or a module, reads when it starts."""
NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
COUNTS = "COVERAGE_PROCESS_CONFIG"
"""Has a new interpreter count which lines it runs (`make coverage`)."""
STREAMS, MOST_FILES = 3, 1 << 12
_ASIDE, _MOST_BYTES = 1 << 10, 1 << 20
_START = inspect.signature(subprocess.Popen._execute_child)  # type: ignore[attr-defined]
_PATH = sys.path[1:]
_COUNTS = os.environ.get(COUNTS)  # a process that is forked gets another environment
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SET_CHILD_SUBREAPER, _GET_CHILD_SUBREAPER = 36, 37
_PARENTS = {
    "mlbutler": ("compare", "demo", "gate", "reproduce", "run", "train", "verify"), "mlbutler.experiments.keeper": None,
    "mlbutler.experiments.worker": None, "tests.notebook": None,
}  # fmt: skip
"""Which of them start others, by their first argument; None: whatever that is."""
_FINDS_OUT_NOTHING = "mlbutler.experiments.keeper"
_ALONE = (
    "agent begin", "agent next", "agent save", "attach", "cancel", "compare", "fetch", "list", "logs", "pull", "rm",
    "show",
)  # fmt: skip
"""What `mlbutler train` does without starting others."""

Request = dict[str, Any]
Begin = Callable[[Request, list[int]], int | None]
"""Takes what `become` takes; returns the id of a child of this process, None to have a new interpreter."""


def read_at_start(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a fork cannot be given any more."""
    return {name: value for name, value in environ.items() if name.startswith(AT_START) and name != NO_BYTECODE}


def fork_what_is_started(begin: Begin) -> Callable[[], None]:
    """Have `subprocess` start our commands so from now on; returns what undoes it."""
    before = subprocess.Popen._execute_child  # type: ignore[attr-defined]

    def execute_child(popen: subprocess.Popen[Any], *arguments: object) -> None:
        if not begins(popen, arguments, begin):
            before(popen, *_with_counts(popen, arguments))

    def undo() -> None:
        subprocess.Popen._execute_child = before  # type: ignore[attr-defined]

    subprocess.Popen._execute_child = execute_child  # type: ignore[attr-defined]
    return undo


def begins(popen: subprocess.Popen[Any], arguments: Sequence[object], begin: Begin) -> bool:
    """Start what `subprocess.Popen._execute_child` is asked for with these arguments, where it is a command of ours."""
    if not _is_ours(arguments[0]):
        return False
    given = _START.bind(popen, *arguments).arguments
    if (request := _request(given)) is None:
        return False
    ends = (given["p2cread"], given["c2pwrite"], given["errwrite"])
    own = [number if end == -1 else end for number, end in enumerate(ends)]
    if (process := begin(request, [*own, *given["pass_fds"]])) is None:
        return False
    popen.pid, popen._child_created = process, True  # type: ignore[attr-defined]
    pipes = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
    popen._close_pipe_fds(*(given[name] for name in pipes))  # type: ignore[attr-defined]
    return True


def _with_counts(popen: subprocess.Popen[Any], arguments: Sequence[object]) -> Sequence[object]:
    """Return the arguments of `_execute_child` with which also an interpreter counts whose environment we choose."""
    given = _START.bind(popen, *arguments)
    counts, environ = os.environ.get(COUNTS, _COUNTS), given.arguments["env"]
    if counts and environ is not None and _is_ours(arguments[0]):
        given.arguments["env"] = {**environ, COUNTS: counts}
    return given.args[1:]


def _is_ours(command: object) -> bool:
    return isinstance(command, list | tuple) and bool(command) and os.fspath(command[0]) == sys.executable


def _request(given: Mapping[str, Any]) -> Request | None:
    """Return what is asked of `become`, for arguments of `_execute_child`; None where it is no command of ours."""
    words = [os.fsdecode(word) for word in given["args"]]
    unusual = given["preexec_fn"] or given["shell"] or not given["close_fds"] or given["executable"]
    if unusual or next(iter(_arguments(words)), None) not in MODULES:
        return None
    return {
        "command": words, "cwd": str(Path.cwd() if given["cwd"] is None else given["cwd"]),
        "environ": dict(os.environ if given["env"] is None else given["env"]),
        "files": [*range(STREAMS), *given["pass_fds"]], "session": bool(given["start_new_session"]),
    }  # fmt: skip


def _arguments(command: Sequence[str]) -> Sequence[str]:
    """Return the module and its arguments; nothing for a command that runs no module."""
    own = command[2 if is_safe(command) else 1 :]
    return own[1:] if own[:1] == ["-m"] else []


def is_safe(command: Sequence[str]) -> bool:
    """Return whether nothing is imported from the directory that it runs in."""
    return command[1] == "-P"


def stand_by(arguments: Sequence[str]) -> None:
    """Prepare this process to start others, if that is what the command with these arguments does."""
    module, first, *_ = [*arguments, ""]
    if module not in _PARENTS or first not in (_PARENTS[module] or [first]):
        return
    if first == "train" and ("--dry-run" in arguments or " ".join(arguments[2:4]).startswith(_ALONE)):
        return
    if module == _FINDS_OUT_NOTHING:
        _fork_itself()
    else:
        fork_what_is_started(_Template().begin)


class _Template:
    """A process as this one is now, which forks what this one starts."""

    def __init__(self) -> None:
        self._near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours, self._lock, self._at_start = os.getpid(), threading.Lock(), read_at_start(os.environ)
        if not os.fork():
            self._near.close()
            _serve(far)
        far.close()

    def begin(self, request: Request, files: list[int]) -> int | None:
        # What another process, forked meanwhile, begins would not be its child.
        if os.getpid() != self._ours or read_at_start(request["environ"]) != self._at_start:
            return None
        with self._lock:
            adopts = _adopts()
            _adopt(True)
            try:
                socket.send_fds(self._near, [json.dumps(request).encode()], files)
                return int(self._near.recv(64))
            finally:
                _adopt(adopts)


def _fork_itself() -> None:
    """Have this process fork itself for what it starts: one that finds out nothing needs no template."""
    at_start = read_at_start(os.environ)

    def begin(request: Request, files: list[int]) -> int | None:
        if read_at_start(request["environ"]) != at_start:
            return None
        if process := os.fork():
            return process
        undo()
        become(request, files)

    undo = fork_what_is_started(begin)


def _serve(far: socket.socket) -> NoReturn:
    try:
        usual = {number: signal.signal(number, signal.SIG_IGN) for number in _STOPS}
        show_as([sys.executable, "-m", "mlbutler.reproduce.worker", "template"])
        os.chdir("/")
        _close_all_but(far.fileno())  # or who reads what the process above writes would find no end
        while True:
            content, files, _, _ = socket.recv_fds(far, _MOST_BYTES, MOST_FILES)
            if not content:
                break
            process = os.fork()
            if not process:
                for number, handler in usual.items():
                    signal.signal(number, handler)
                orphan(json.loads(content), files, far)
            for file in files:
                os.close(file)
            os.waitpid(process, 0)
    finally:
        os._exit(0)


def _close_all_but(file: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(STREAMS):
        os.dup2(nothing, stream)
    os.closerange(STREAMS, file)
    os.closerange(file + 1, MOST_FILES)


def orphan(request: Request, files: list[int], told: socket.socket) -> NoReturn:
    """Fork what is asked for, say its id, and end: a process above that adopts orphans becomes its parent."""
    ours = os.getpid()
    if os.fork():
        os._exit(0)
    while os.getppid() == ours:
        time.sleep(0.0005)
    if request["session"]:
        os.setsid()
    show_as(request["command"])
    told.sendall(b"%d\n" % os.getpid())
    become(request, files)


def become(request: Request, files: list[int]) -> NoReturn:
    """Be the process that `subprocess` was to start.

    Args:
        request: its command, directory, environment, and the numbers that its files have to have.
    """
    code = 1
    try:
        aside = [fcntl.fcntl(file, fcntl.F_DUPFD, _ASIDE) for file in files]
        os.closerange(STREAMS, _ASIDE)
        for file, number in zip(aside, request["files"], strict=True):
            os.dup2(file, number)
        os.closerange(_ASIDE, MOST_FILES)
        code = run_as(request)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def run_as(request: Request) -> int:
    """Run the command as a new interpreter would, to what that does at its end; returns the exit code."""
    show_as(request["command"])
    new_streams()
    os.environ.clear()
    os.environ.update(request["environ"])
    time.tzset()
    _find_git_settings()
    tempfile.tempdir = None
    os.chdir(request["cwd"])
    sys.dont_write_bytecode = bool(os.environ.get(NO_BYTECODE))
    sys.path[:] = _PATH if is_safe(request["command"]) else [str(Path.cwd()), *_PATH]
    arguments = _arguments(request["command"])
    stand_by(arguments)
    return _run(arguments)


def _find_git_settings() -> None:
    """Have pygit2, which looks for the user's and the system's settings when it is imported, look again."""
    if (pygit2 := sys.modules.get("pygit2")) is not None:
        for level in ("PROGRAMDATA", "SYSTEM", "XDG", "GLOBAL"):
            pygit2.option(pygit2.enums.Option.SET_SEARCH_PATH, pygit2.enums.ConfigLevel[level], None)


def show_as(command: Sequence[str]) -> None:
    """Have the list of processes show this command, as far as there is room for it."""
    with suppress(OSError, IndexError, ValueError):
        stat = Path("/proc/self/stat").read_text()
        start, end = map(int, stat[stat.rfind(")") + 2 :].split()[45:47])  # arg_start and arg_end of proc_pid_stat(5)
        if start:
            content = "\0".join(command).encode()[: end - start - 1]
            ctypes.memmove(start, content.ljust(end - start, b"\0"), end - start)


def new_streams() -> None:
    for name, number in (("stdout", 1), ("stderr", 2)):
        old = getattr(sys, name)
        raw = io.BufferedWriter(io.FileIO(number, "wb", closefd=False))
        new = io.TextIOWrapper(raw, old.encoding, old.errors, line_buffering=number == 2)
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)


def _run(arguments: Sequence[str]) -> int:
    sys.argv = list(arguments)
    if not hasattr(sys.modules.get(arguments[0]), "__path__"):  # a package: `runpy` looks for a module in it
        sys.modules.pop(arguments[0], None)  # of which it would warn
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


def _adopts() -> bool:
    found = ctypes.c_int(0)
    ctypes.CDLL(None).prctl(_GET_CHILD_SUBREAPER, ctypes.byref(found), 0, 0, 0)
    return bool(found.value)


def _adopt(whether: bool) -> None:
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, ctypes.c_ulong(whether), 0, 0, 0)
