"""Run the project's own code: live output, timeout, a shutdown in stages, and none of our credentials.

The code may come from a stranger's pull request. It gets an environment without credentials, its own
process group and an empty standard input; when it ends, nothing that it started goes on running.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from functools import partial
from pathlib import Path
from types import TracebackType

from mlbutler import isolation, linux
from mlbutler.errors import Interrupted, OutsideError, UsageError
from mlbutler.frozen import frozen
from mlbutler.held_back import harmless_environment, held_back_names, in_ci, values_to_hide
from mlbutler.live_lines import LiveLines
from mlbutler.secrets import (
    LineRedactor,
    Redactor,
    is_secret_name,
    secret_values,
    without_credentials,
    without_git_credentials,
)

# How Jenkins finds what a build started, so that it can end it; they open nothing.
_BUILD_COOKIES = ("JENKINS_NODE_COOKIE", "JENKINS_SERVER_COOKIE", "HUDSON_COOKIE", "HUDSON_SERVER_COOKIE")
_TAIL_LINES, _TAIL_WIDTH = 40, 500
_READ_AFTER_EXIT = 2.0
_POLL, _POLL_AT_END = 0.1, 0.005
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ENDED_BY_STOP = frozenset(code for number in _STOP_SIGNALS for code in (-number, 128 + number))
_TOLD_BESIDE = 0.2


@frozen
class Grace:
    """Seconds that a process group has after being interrupted, and then after being terminated.

    `told`: how long after a child that a signal asked to stop our own signal may come.
    """

    interrupt: float = 10.0
    terminate: float = 5.0
    told: float = 5.0


@frozen
class CompletedCommand:
    """A command that has ended. `exit_code`: None when the timeout ended it, -N when signal N did."""

    exit_code: int | None
    duration: float
    tail: tuple[str, ...]


class Ended(Enum):
    """Why `Process.pump` returned."""

    READY = "ready"
    EXITED = "exited"
    TIMED_OUT = "timed out"
    INTERRUPTED = "interrupted"


def project_environment(environ: Mapping[str, str], keep: Iterable[str] = ()) -> dict[str, str]:
    """Return the environment for the project's own code: no credentials but those named in `keep`.

    On a CI server it holds what that code needs and nothing else; see `mlbutler.held_back`.
    """
    kept = set(keep)
    if in_ci(environ):
        child = harmless_environment(environ, kept)
    else:
        child = without_credentials(environ, secrets=secret_values(environ), keep=(*kept, *_BUILD_COOKIES))
        # The project's code begins in its root: from there the folder that led to it leads nowhere.
        own = [name for name in child if name.startswith(("MLBUTLER_GIT_", "MLBUTLER_CHDIR")) and name not in kept]
        child = without_git_credentials({name: value for name, value in child.items() if name not in own})
    # Without it, importing from a folder that a stage depends on would put a __pycache__ there and make it stale.
    return {"PYTHONDONTWRITEBYTECODE": "1"} | child | {"DVC_NO_ANALYTICS": "1"}


def output_redactor(environ: Mapping[str, str]) -> Redactor:
    """Return a redactor of `environ`'s credentials, in lines of output too when a value has several lines."""
    values = set(values_to_hide(environ))
    held = held_back_names(environ)
    named = [value for name, value in environ.items() if "\n" in value and (name in held or is_secret_name(name))]
    lines = {line.strip() for value in named for line in value.splitlines()}
    return Redactor(values | {line for line in lines if len(line) >= 8})


def explain_exit(code: int | None) -> str:
    """Return an exit code in words, as the shell and DVC give it."""
    if code is None:
        return "timed out"
    if code == 127:
        return "exit code 127: command not found"
    if code == 126:
        return "exit code 126: command cannot be executed"
    number = -code if code < 0 else code - 128
    if code < 0 or code in (130, 134, 135, 136, 137, 139, 143):
        try:
            name = signal.Signals(number).name
        except ValueError:
            return f"exit code {code}"
        guess = " (out of memory?)" if name == "SIGKILL" else ""
        return f"killed by {name}{guess}"
    return f"exit code {code}"


def run_command(
    command: str | Sequence[str],
    *,
    cwd: Path,
    environ: Mapping[str, str],
    on_line: Callable[[str], None],
    timeout: float | None = None,
    redactor: Redactor | None = None,
    grace: Grace | None = None,
    prefix: Sequence[str] = (),
) -> CompletedCommand:
    """Run one command to its end.

    Args:
        command: shell text, or an argument vector.
        environ: the child's whole environment (see `project_environment`).
        on_line: takes each line of standard output and error, merged, as it comes, secrets hidden.
        timeout: seconds; then the whole process group is interrupted, terminated, killed.
        prefix: a program with its options that runs the command (see `mlbutler.isolation`).

    Raises:
        Interrupted: SIGINT, SIGTERM or SIGHUP came; everything that the command started has ended.
        OutsideError: it could not be started. UsageError: there is no directory `cwd`.
    """
    arguments = [*isolation.present(prefix), *(["/bin/sh", "-c", command] if isinstance(command, str) else command)]
    started = time.monotonic()
    deadline = None if timeout is None else started + timeout
    with Process(
        arguments, cwd=cwd, environ=environ, on_line=on_line, redactor=redactor, grace=grace, behind=prefix
    ) as process:
        ended = process.pump(deadline=deadline)
        if ended is Ended.EXITED and process.is_told_to_stop(process.exit_code):
            ended = Ended.INTERRUPTED
        if ended is not Ended.EXITED:
            process.stop()
    if ended is Ended.INTERRUPTED:
        raise Interrupted("Interrupted.", "Run the same command again.")
    code = None if ended is Ended.TIMED_OUT else process.exit_code
    return CompletedCommand(code, time.monotonic() - started, process.tail)


class Process:
    """One child in a process group of its own; a context manager that leaves nothing running.

    While it is open, SIGINT, SIGTERM and SIGHUP do not end us: `pump` reports them.

    Attributes:
        exit_code: of the group's leader; None while it runs, -N when signal N ended it.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        environ: Mapping[str, str],
        on_line: Callable[[str], None],
        redactor: Redactor | None = None,
        grace: Grace | None = None,
        pass_fds: Sequence[int] = (),
        behind: Sequence[str] = (),
    ) -> None:
        self._before = partial(isolation.before_start, tuple(behind)) if behind else None
        self._command, self._cwd, self._environ = list(command), cwd, environ
        self._pass_fds, self._grace, self._on_line = tuple(pass_fds), grace or Grace(), on_line
        hidden = LineRedactor(redactor or Redactor(()))
        self._lines = LiveLines(self._line, hidden.hide, hidden.hide_unfinished)
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._signals = _Signals()
        self._output: int | None = None
        self.exit_code: int | None = None

    @property
    def pid(self) -> int:
        """Return the process id of the group's leader."""
        return self._child.pid

    @property
    def tail(self) -> tuple[str, ...]:
        """Return the last lines of output since the start or `forget_tail`."""
        return tuple(self._tail)

    def forget_tail(self) -> None:
        """Make `tail` begin here."""
        self._tail.clear()

    def __enter__(self) -> Process:
        linux.hide_from_children()
        linux.adopt_orphans()
        self._earlier_children = linux.children()
        self._signals.install()
        try:
            self._child = subprocess.Popen(
                self._command, cwd=self._cwd, env=dict(self._environ), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                pass_fds=self._pass_fds, bufsize=0, preexec_fn=self._before,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            self._signals.remove()
            if not self._cwd.is_dir():
                raise UsageError(f"No such directory: {self._cwd}", "Check -C.") from error
            raise OutsideError(
                f"Could not start '{self._command[0]}': {error}", "Check that it is installed and may be run."
            ) from error
        assert self._child.stdout is not None
        self._output = self._child.stdout.fileno()
        os.set_blocking(self._output, False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is not None or not self._reap():
                self.stop()
            self._end_leftovers()
            if self._output is not None:
                self.drain()
            if kind is None:
                self._lines.close()
        finally:
            self._kill_group(signal.SIGKILL)
            if self._child.stdout is not None:
                self._child.stdout.close()
            self._signals.remove()

    # ------------------------------------------------------------------------------------ waiting

    def pump(self, *, until: int | None = None, deadline: float | None = None) -> Ended:
        """Pass output on until something happens, and return what did.

        It returns when the file descriptor `until` can be read, the leader exits, `deadline` (of `time.monotonic`) is
        reached, or we are asked to stop. All output written before is passed on.
        """
        while True:
            now = time.monotonic()
            wait = _POLL if self._output is not None else _POLL_AT_END
            if deadline is not None:
                wait = max(0.0, min(wait, deadline - now))
            if self._step(wait, until):
                self.drain()
                return Ended.READY
            if self._signals.received:
                return Ended.INTERRUPTED
            if self._reap():
                self._read_for(_READ_AFTER_EXIT)
                return Ended.EXITED
            if deadline is not None and now >= deadline:
                return Ended.TIMED_OUT

    def is_told_to_stop(self, code: int | None) -> bool:
        """Return whether we are asked to stop, now or in a moment.

        A CI server that aborts a build signals the children first.

        Args:
            code: how a child ended. The wait is for one that was asked to stop; to others, which may have
                ended in an orderly way because they were asked, our own signal comes right away.
        """
        if not code or self._signals.wakeup is None:
            return bool(self._signals.received)
        until = time.monotonic() + (self._grace.told if code in _ENDED_BY_STOP else _TOLD_BESIDE)
        while not self._signals.received and (left := until - time.monotonic()) > 0:
            self._reap()  # Jenkins signals a parent once its child is gone from /proc, which a zombie is not
            self._step(min(left, _POLL), None)
        return bool(self._signals.received)

    def stop(self) -> None:
        """Interrupt the whole group, then terminate it, then kill it; return when none of it is left.

        Another signal to us skips to the next stage.
        """
        stages = (
            (signal.SIGINT, self._grace.interrupt),
            (signal.SIGTERM, self._grace.terminate),
            (signal.SIGKILL, 5.0),
        )
        for number, grace in stages:
            told = self._signals.received
            self._kill_group(number)
            until = time.monotonic() + grace
            while time.monotonic() < until and self._signals.received == told:
                self._step(_POLL_AT_END if self._output is None else 0.02, None)
                if self._reap() and not self._group_alive():
                    return

    def drain(self) -> None:
        """Pass on what the child has written so far."""
        while self._output is not None and self._read():
            pass

    def _read_for(self, seconds: float) -> None:
        # A process in the background may keep the pipe open forever.
        until = time.monotonic() + seconds
        while self._output is not None and time.monotonic() < until and not self._signals.received:
            self._step(0.05, None)

    def _step(self, seconds: float, until: int | None) -> bool:
        watched = [fd for fd in (self._output, self._signals.wakeup, until) if fd is not None]
        poll = select.poll()
        for fd in watched:
            poll.register(fd, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(seconds * 1000)}
        if self._signals.wakeup in ready:
            self._signals.forget_wakeup()
        if self._output in ready:
            self._read()
        self._lines.show_pending()
        return until in ready

    def _read(self) -> bool:
        assert self._output is not None
        try:
            data = os.read(self._output, 65_536)
        except BlockingIOError:
            return False
        if not data:
            self._output = None
            return False
        self._lines.feed(data)
        return True

    def _line(self, text: str) -> None:
        self._tail.append(text[:_TAIL_WIDTH])
        self._on_line(text)

    # ------------------------------------------------------------------------------------- ending

    def _reap(self) -> bool:
        # Orphans of the group become our children: they are reaped here too, or they would look alive.
        leader = self._child.pid
        while True:
            try:
                pid, status = os.waitpid(-leader, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid == leader:
                self.exit_code = self._child.returncode = os.waitstatus_to_exitcode(status)
        return self.exit_code is not None

    def _group_alive(self) -> bool:
        try:
            os.killpg(self._child.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def _kill_group(self, number: int) -> None:
        # Once the leader is reaped and nobody is left, the number may belong to somebody else.
        if self._reap() and not self._group_alive():
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, number)

    def _end_leftovers(self) -> None:
        """End what the command left behind: it could wait for a step that has credentials."""
        for number, grace in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 2.0)):
            until = time.monotonic() + grace
            told: set[int] = set()
            while time.monotonic() < until:
                self._reap()
                escaped = linux.children() - self._earlier_children - {self._child.pid}
                if not escaped and not self._group_alive():
                    return
                if not told:
                    self._kill_group(number)
                for pid in escaped - told:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, number)
                told |= escaped | {self._child.pid}
                self._step(0.01, None)
                for pid in escaped:
                    with contextlib.suppress(ChildProcessError):
                        os.waitpid(pid, os.WNOHANG)


class _Signals:
    """Counts the signals that ask us to stop, and wakes the loop that waits for output."""

    def __init__(self) -> None:
        self.received = 0
        self.wakeup: int | None = None
        self._write: int | None = None
        self._previous: dict[int, Callable[..., object] | int] = {}

    def install(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # handlers belong to the main thread, and so do signals
        self.wakeup, self._write = os.pipe()
        os.set_blocking(self.wakeup, False)
        os.set_blocking(self._write, False)
        for number in _STOP_SIGNALS:
            previous = signal.getsignal(number)
            if previous is None or previous == signal.SIG_IGN:  # nohup: who started us wants that
                continue
            self._previous[number] = previous
            signal.signal(number, self._remember)
        if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:  # exit codes would be lost
            self._previous[signal.SIGCHLD] = signal.SIG_IGN
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def remove(self) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)
        self._previous.clear()
        for fd in (self.wakeup, self._write):
            if fd is not None:
                os.close(fd)
        self.wakeup = self._write = None

    def forget_wakeup(self) -> None:
        if self.wakeup is not None:
            with contextlib.suppress(BlockingIOError):
                os.read(self.wakeup, 512)

    def _remember(self, number: int, frame: object) -> None:
        self.received += 1
        if self._write is not None:
            with contextlib.suppress(BlockingIOError):
                os.write(self._write, b"!")
