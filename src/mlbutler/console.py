"""Show a person what happens while mlbutler works.

Findings go to the record; this is only the live view. With ``--json`` standard output belongs to the
one JSON document, and everything here goes to standard error.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from mlbutler.live_lines import clean
from mlbutler.secrets import Redactor

_PLAIN_INTERVAL = 10.0
_SILENCE = 60.0
_BOLD = "1"
_OUTCOMES = {
    "passed": "32", "failed": "1;31", "error": "1;31", "not known": "33", "interrupted": "33", "skipped": "2",
    "ok": "32", "MISSING": "1;31", "note": "33", "stale": "33", "cannot run": "1;31",
}  # fmt: skip
"""How a word that says what became of something is set: the parameters of ECMA-48's SGR."""


@dataclass(eq=False, repr=False)
class Progress:
    """The state of one long operation: the worker advances it, the display reads it."""

    title: str
    total: int | None = None
    total_bytes: int | None = None
    done: int = 0
    bytes: int = 0
    started: float = field(default_factory=time.monotonic)

    def advance(self, objects: int = 0, nbytes: int = 0) -> None:
        """Count finished objects and moved bytes."""
        self.bytes += nbytes  # first: another thread that shows the object has its bytes then
        self.done += objects

    def line(self) -> str:
        """Return one plain line: counts, bytes, rate."""
        done = self.done  # before the bytes, which are counted first
        seconds = max(time.monotonic() - self.started, 1e-6)
        of = f"/{self.total}" if self.total is not None else ""
        amount = f", {human_bytes(self.bytes)} ({human_bytes(self.bytes / seconds)}/s)" if self.bytes else ""
        return f"{self.title}: {done}{of}{amount}"


class Console:
    """Writes headings, lines and progress; hides known secrets in all of them, and drops what would steer a terminal.

    Args:
        quiet: only errors. verbose: details too. json: keep standard output clean.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbose: bool = False,
        json: bool = False,
        redactor: Redactor | None = None,
    ) -> None:
        self.quiet, self.verbose, self.json = quiet, verbose, json
        self.redactor = redactor or Redactor(())
        self._written = time.monotonic()
        self._step = ""

    @property
    def stream(self) -> TextIO:
        """Return where messages go, below the heading of the current step."""
        self._show_heading()
        return self._stream

    @property
    def _stream(self) -> TextIO:
        return sys.stderr if self.json else sys.stdout

    def heading(self, text: str) -> None:
        """Show the start of a stage, or of a part."""
        if not self.quiet:
            self._print(f"\n== {text}", self.stream, text, _BOLD)

    def step(self, text: str) -> None:
        """Begin a step: its heading appears once it writes something, so that one that only ends is a single line.

        On a terminal it stands there meanwhile, and makes room for that line.
        """
        if not self.quiet:
            self._step = text
            if _is_terminal(self._stream):
                print(f"{clean(self.redactor.hide(text))} …", end="", file=self._stream, flush=True)

    def end_step(self, text: str, outcome: str, *, wrong: bool = False) -> None:
        """End a step with a line; `outcome` as for a line. What went wrong is shown always, on standard error."""
        self._take_step()
        self.error(text, outcome) if wrong else self.line(text, outcome)

    def _show_heading(self) -> None:
        if text := self._take_step():
            self.heading(text)

    def _take_step(self) -> str:
        text, self._step = self._step, ""
        if text and _is_terminal(self._stream):
            print("\r\x1b[K", end="", file=self._stream, flush=True)
        return text

    def line(self, text: str = "", outcome: str = "") -> None:
        """Show a normal message; a terminal shows the word `outcome` in it in that outcome's colour."""
        if not self.quiet:
            self._print(text, self.stream, outcome, _OUTCOMES.get(outcome, ""))

    def path(self, what: str, path: Path, name: str = "") -> None:
        """Show where a file is, as `name`; on a terminal that is a link to it (OSC 8)."""
        if not self.quiet:
            self._show_heading()
            shown = clean(self.redactor.hide(f"{what}: {name or path}"))
            if self.stream.isatty() and _has_colours(self.stream):
                what, _, name = shown.partition(": ")
                shown = f"{what}: \x1b]8;;{self.redactor.hide(path.absolute().as_uri())}\x1b\\{name}\x1b]8;;\x1b\\"
            print(shown, file=self.stream, flush=True)
            self._written = time.monotonic()

    def open(self, page: Path) -> None:
        """Open a page in a browser, where there is one."""
        import webbrowser

        if not webbrowser.open(page.absolute().as_uri()):
            self.line(f"There is no browser here: open {page} yourself.")

    def detail(self, text: str) -> None:
        """Show a message only with --verbose."""
        if self.verbose and not self.quiet:
            self._write(text)

    def error(self, text: str, outcome: str = "") -> None:
        """Show a message always, on standard error; `outcome` as for a line."""
        self._print(text, sys.stderr, outcome, _OUTCOMES.get(outcome, ""))

    def raw(self, text: str) -> None:
        """Show live output of a child process, already split into lines; quiet drops it."""
        if not self.quiet:
            self.stream.write(self.redactor.hide(text))
            self.stream.flush()
            self._written = time.monotonic()

    def _write(self, text: str) -> None:
        self._print(text, self.stream)

    def _print(self, text: str, stream: TextIO, word: str = "", style: str = "") -> None:
        self._show_heading()
        shown = clean(self.redactor.hide(text))
        if style and _has_colours(stream):
            shown = shown.replace(word, f"\x1b[{style}m{word}\x1b[0m", 1)
        print(shown, file=stream, flush=True)
        self._written = time.monotonic()

    @contextmanager
    def heartbeat(self, what: str) -> Iterator[None]:
        """Write a line after each minute without one, on standard error, unless a person watches or asked for quiet.

        A CI server takes a long silence for a process, or an agent, that is dead.
        """
        if self.quiet or sys.stderr.isatty():
            yield
            return
        import threading

        stop = threading.Event()
        thread = threading.Thread(target=self._beat, args=(what, stop), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _beat(self, what: str, stop: Any) -> None:
        started = time.monotonic()
        while not stop.wait(max(self._written + _SILENCE - time.monotonic(), 0.0)):
            now = time.monotonic()
            if now >= self._written + _SILENCE:
                self._print(f"{what}: still running after {human_seconds(now - started)}", sys.stderr)

    @contextmanager
    def progress(self, title: str, total: int | None = None, total_bytes: int | None = None) -> Iterator[Progress]:
        """Show a bar on a terminal, a plain line every ten seconds elsewhere."""
        state = Progress(title, total, total_bytes)
        if self.quiet:
            yield state
            return
        import threading

        stop = threading.Event()
        show = self._bar if sys.stderr.isatty() else self._plain
        thread = threading.Thread(target=show, args=(state, stop), daemon=True)
        thread.start()
        try:
            yield state
        finally:
            stop.set()
            thread.join()

    def _plain(self, state: Progress, stop: Any) -> None:
        while not stop.wait(_PLAIN_INTERVAL):
            self._write(state.line())

    def _bar(self, state: Progress, stop: Any) -> None:
        if stop.wait(0.3):  # what is over at once needs no bar
            return
        self._show_heading()
        from rich.console import Console as Terminal
        from rich.live import Live
        from rich.text import Text

        with Live(Text(state.line()), console=Terminal(stderr=True), transient=True) as live:
            while not stop.wait(0.1):
                live.update(Text(state.line()))


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _has_colours(stream: TextIO) -> bool:
    """Return whether styles are written: to a terminal, unless NO_COLOR says otherwise; elsewhere for FORCE_COLOR."""
    environ = os.environ
    if environ.get("NO_COLOR"):  # https://no-color.org
        return False
    return bool(environ.get("FORCE_COLOR")) or _is_terminal(stream)


def human_bytes(count: float) -> str:
    """Return ``1536`` as ``1.5 KB``; powers of 1024."""
    for unit in ("B", "KB", "MB", "GB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TB"


def human_seconds(seconds: float) -> str:
    """Return ``3725`` as ``1 h 2 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
