"""Judge what came of an input: the error, the place, time and memory, and what a person or a CI server would see."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mlbutler.errors import MlbutlerError
from tests.fuzz.mutations import CANARY

CPU_SECONDS = 3.0
"""For an input of at most 200 KB. It is the machine's pace and no promise: most take a thousandth."""
MEMORY = 300 << 20
_STEERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_COMMAND = re.compile(r"^\s*::\S|##\[|##vso\[|##teamcity\[", re.MULTILINE)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.link", "os.chmod", "os.truncate")
_NEVER = ("socket.connect", "os.system", "os.exec", "pickle.find_class", "ctypes.dlopen")


class Fault(AssertionError):
    """What must not happen, whatever the input is."""


def require_harmless(text: str) -> None:
    """Refuse what a terminal or a CI server would obey.

    Raises:
        Fault: it holds something of that.
    """
    if found := _STEERS.search(text) or _COMMAND.search(text):
        raise Fault(f"what is printed acts: {text[max(found.start() - 20, 0) : found.end() + 40]!r}")


def require_remedy(error: MlbutlerError) -> None:
    """Refuse an error that does not say what to do.

    Raises:
        Fault: it does not.
    """
    if not error.message or not error.remedy:
        raise Fault(f"an error without a message or a remedy: {error!r}")


class Watch:
    """Watch this process while it reads inputs: which files it opens, changes and runs.

    Args:
        folder: where it may write; the canary lies beside it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.seen = os.fspath(folder), list[str]()
        self.on = False
        self._thread = threading.get_ident()
        sys.addaudithook(self._event)  # it stays for as long as the process

    def _event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on or threading.get_ident() != self._thread:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, str | bytes | os.PathLike):
                self._look(event, path, writes=bool(flags & _WRITES))
        elif event in _CHANGES:
            for path in arguments[:2]:
                if isinstance(path, str | bytes | os.PathLike):
                    self._look(event, path, writes=True)
        elif event in _NEVER:
            self.seen.append(f"{event} {arguments!r}"[:200])

    def _look(self, event: str, path: Any, *, writes: bool) -> None:
        whole = os.path.realpath(os.fsdecode(path))
        inside = whole == self.folder or whole.startswith((f"{self.folder}/", "/dev/null", "/proc/self"))
        if CANARY in whole or (writes and not inside and "__pycache__" not in whole):
            self.seen.append(f"{event} {whole}"[:200])

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch during the block.

        Raises:
            Fault: it left the folder.
        """
        self.seen, self.on = [], True
        try:
            yield
        finally:
            self.on = False
        if self.seen:
            raise Fault(f"it left its folder: {'; '.join(self.seen[:3])}")


@contextlib.contextmanager
def bounded(seconds: float = CPU_SECONDS) -> Iterator[None]:
    """Refuse what takes more seconds of the processor, or 300 MB more of memory than anything before.

    Raises:
        Fault: it does.
    """

    slow = Fault(f"more than {seconds:g} s of CPU")
    raised = []

    def late(signum: int, frame: object) -> None:
        raised.append(slow)  # what reads may catch whatever it meets
        raise slow

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    peak = _peak()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    if raised:
        raise slow
    if (more := _peak() - peak) > MEMORY:
        raise Fault(f"{more >> 20} MB of memory")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def judged(read: Callable[[], None]) -> float:
    """Read one input; return the seconds that it took.

    Raises:
        Fault: anything but data and an error of ours with a remedy came of it.
    """
    from mlbutler.cli import error_lines

    began = time.thread_time()
    try:
        read()
    except MlbutlerError as error:
        require_remedy(error)
        require_harmless(error_lines(error.message, error.remedy))
    except Fault:
        raise
    except Exception as error:
        raise Fault(f"{type(error).__name__}: {str(error)[:200]}") from error
    return time.thread_time() - began
