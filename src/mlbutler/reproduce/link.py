"""Start the worker, send it commands, pass its output on."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from mlbutler.process import Ended, Grace, Process
from mlbutler.secrets import Redactor


class WorkerGone(Exception):
    """The worker ended, was ended, or has to be: `why` says which.

    Attributes:
        why: EXITED (it died: `exit_code`), TIMED_OUT or INTERRUPTED.
    """

    def __init__(self, why: Ended, exit_code: int | None) -> None:
        super().__init__(why.value)
        self.why, self.exit_code = why, exit_code


class WorkerLink:
    """One worker process; a context manager that leaves nothing running.

    Args:
        on_line: takes each line that stages and DVC print, secrets hidden.
        environ: the worker's and the stages' whole environment.
    """

    def __init__(
        self,
        root: Path,
        *,
        environ: Mapping[str, str],
        on_line: Callable[[str], None],
        redactor: Redactor,
        grace: Grace | None = None,
    ) -> None:
        self._commands_read, self._commands = os.pipe()
        self._events, self._events_write = os.pipe()
        self._open = {self._commands_read, self._commands, self._events, self._events_write}
        self._buffer = b""
        # -P: a module of the project's may be called like one of ours.
        command = [sys.executable, "-P", "-m", "mlbutler.reproduce.worker"]
        self._process = Process(
            [*command, str(self._commands_read), str(self._events_write)],
            cwd=root,
            environ=environ,
            on_line=on_line,
            redactor=redactor,
            grace=grace,
            pass_fds=(self._commands_read, self._events_write),
        )

    def __enter__(self) -> WorkerLink:
        try:
            self._process.__enter__()
        except BaseException:
            self._close(*self._open)
            raise
        self._close(self._commands_read, self._events_write)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._close(self._commands)  # an idle worker ends by itself
            if kind is None:
                self._process.pump()
            self._process.__exit__(kind, error, trace)
        finally:
            self._close(*self._open)

    @property
    def tail(self) -> tuple[str, ...]:
        """Return the last lines of output since `ask` was called."""
        return self._process.tail

    def is_told_to_stop(self, code: int | None) -> bool:
        """See `Process.is_told_to_stop`."""
        return self._process.is_told_to_stop(code)

    def wait_until_ready(self, deadline: float | None) -> None:
        """Wait for the worker to have imported DVC. Raises as `ask`."""
        self._answer(deadline)

    def ask(self, command: Mapping[str, Any], deadline: float | None = None) -> list[dict[str, Any]]:
        """Send a command and return the events that answer it, the last being the ``end``.

        Args:
            deadline: of `time.monotonic`.

        Raises:
            WorkerGone: there is no answer: the worker died, time is up, or we were asked to stop. The last two
                have ended the worker and all that it started.
        """
        self._process.forget_tail()
        try:
            os.write(self._commands, json.dumps(command).encode() + b"\n")
        except BrokenPipeError as error:
            self._process.pump()
            raise WorkerGone(Ended.EXITED, self._process.exit_code) from error
        return self._answer(deadline)

    def _answer(self, deadline: float | None) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        while not events or events[-1]["event"] != "end":
            line, found, rest = self._buffer.partition(b"\n")
            if found:
                self._buffer = rest
                events.append(json.loads(line))
                continue
            ended = self._process.pump(until=self._events, deadline=deadline)
            if ended is Ended.READY and (data := os.read(self._events, 65_536)):
                self._buffer += data
                continue
            if ended is Ended.READY:  # closed: it is about to exit
                ended = self._process.pump(deadline=deadline)
            if ended is not Ended.EXITED:
                self._process.stop()
            raise WorkerGone(ended, self._process.exit_code)
        return events

    def _close(self, *fds: int) -> None:
        for fd in fds:
            if fd in self._open:
                self._open.discard(fd)
                with contextlib.suppress(OSError):
                    os.close(fd)
