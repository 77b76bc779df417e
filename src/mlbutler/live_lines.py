"""Turn the bytes that a program writes into bounded, harmless lines, while it writes them."""

from __future__ import annotations

import codecs
import re
import time
from collections.abc import Callable

_SPLIT = re.compile(r"(\r\n|\n|\r)")
_ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours and cursor movements
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles, links and other strings
    r"|\x1b[ -/]*[0-~]?"
)
# Control characters, and those that turn the direction of text around.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# What CI servers obey in a log: GitHub's and Forgejo's `::set-output`, Azure's `##vso[`, TeamCity's `##teamcity[`.
# Their agents for GitHub and Azure are .NET programs, whose comparison of texts overlooks what shows nothing: between
# the letters of a command whatever is not ASCII counts as that.
_COMMAND = re.compile(
    r"^[^\x21-\x7e\n]*:(?=[^\x00-\x7f]*:)"
    r"|#(?=[^\x00-\x7f]*#[^\x00-\x7f]*(?:\[|[vV][^\x00-\x7f]*[sS][^\x00-\x7f]*[oO][^\x00-\x7f]*\[|teamcity\[))",
    re.MULTILINE,
)
_OVERLAP = 4_096


def clean(text: str) -> str:
    """Return text without escape sequences and control characters (tabs and newlines stay).

    A space is put into what a CI server would take for a command.
    """
    return _COMMAND.sub(lambda found: f"{found[0]} ", _CONTROL.sub("", _ESCAPE.sub("", text)))


class LiveLines:
    """Splits a stream into lines.

    A carriage return starts the line again, as on a terminal, so a progress bar becomes one line; what
    stands on an unfinished line is shown every `pending_after` seconds. What is not UTF-8 becomes U+FFFD.

    Args:
        emit: takes each finished line, without its end.
        hide: replaces secrets; sees each line whole, before it is cut. hide_unfinished: the same of the beginning of
            a line.
        limit: characters of a line that are kept.
    """

    def __init__(
        self,
        emit: Callable[[str], None],
        hide: Callable[[str], str] = lambda text: text,
        hide_unfinished: Callable[[str], str] | None = None,
        *,
        limit: int = 16_384,
        pending_after: float = 10.0,
    ) -> None:
        self._emit, self._hide, self._limit, self._pending_after = emit, hide, limit, pending_after
        self._hide_unfinished = hide_unfinished or hide
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""  # a carriage return whose newline may come with the next bytes
        self._parts: list[str] = []
        self._size = self._dropped = 0
        self._restart = False
        self._shown: str | None = None
        self._emitted = time.monotonic()

    def feed(self, data: bytes, *, final: bool = False) -> None:
        """Take the next bytes of the stream."""
        text = self._held + self._decoder.decode(data, final)
        self._held = ""
        if text.endswith("\r") and not final:
            text, self._held = text[:-1], "\r"
        for piece in _SPLIT.split(text):
            if piece in ("\n", "\r\n"):
                self._finish()
            elif piece == "\r":
                self._restart = True
            elif piece:
                self._append(piece)

    def show_pending(self) -> None:
        """Emit the unfinished line when nothing was emitted for a while and it has changed since."""
        if self._parts and time.monotonic() - self._emitted >= self._pending_after:
            self._show(self._hide_unfinished)

    def close(self) -> None:
        """Emit what is left: the stream has ended."""
        self.feed(b"", final=True)
        if self._parts:
            self._finish()

    def _append(self, piece: str) -> None:
        if self._restart:
            self._clear()
        room = self._limit + _OVERLAP - self._size
        kept = piece[: max(room, 0)]
        self._dropped += len(piece) - len(kept)
        if kept:
            self._parts.append(kept)
            self._size += len(kept)

    def _finish(self) -> None:
        if self._parts or self._shown is None:
            self._show(self._hide)
        self._clear()
        self._shown = None

    def _show(self, hide: Callable[[str], str]) -> None:
        text = whole = hide(clean("".join(self._parts)))
        if self._dropped:  # the end of what was kept may be the first half of a secret
            text = text[:-_OVERLAP]
        more = self._dropped + max(len(whole) - self._limit, 0)
        if more:
            text = f"{text[: self._limit]} … [{more} more characters]"
        self._emitted = time.monotonic()
        if text != self._shown:
            self._emit(text)
        self._shown = text

    def _clear(self) -> None:
        self._parts, self._size, self._dropped, self._restart = [], 0, 0, False
