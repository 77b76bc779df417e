"""One exchange of HTTP: what is asked, what came, and tasks that are made of some."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

T = TypeVar("T")

Receiver = Callable[[Sequence[bytes]], None]
"""Takes the next blocks of a body, which stay as they are; may raise to end the transfer."""
Sign = Callable[[str, str], list[str]]
"""Returns headers for a method and an address: each request needs its own."""

_DIGITS = 20


class Response:
    """What came: status, reason phrase, address asked, bytes of the body read; headers are read when somebody asks.

    Args:
        head: the status line and the headers.
    """

    __slots__ = ("_head", "_names", "reason", "size", "status", "url")

    def __init__(self, status: int, reason: str, head: str, url: str, size: int = 0) -> None:
        self.status, self.reason, self.url, self.size = status, reason, url, size
        self._head, self._names = head, ""

    def header(self, name: str) -> str:
        """Return the value of the header `name` (lower case), '' where there is none; of several, the last."""
        self._names = self._names or self._head.lower()
        found = self._names.rfind(f"\n{name}:")
        if found < 0:
            return ""
        start = found + len(name) + 2
        end = self._head.find("\n", start)
        return self._head[start : end if end >= 0 else None].strip()

    @property
    def length(self) -> int | None:
        """Return the bytes that the body is announced to have, None where that is not said."""
        text = self.header("content-length")
        return int(text) if text.isascii() and text.isdigit() and len(text) < _DIGITS else None


class Request(NamedTuple):
    """One exchange, without redirects.

    Attributes:
        own: goes to the remote's own host, so that it may carry credentials.
        receive: chooses, once the headers are there, who takes the body; None reads a short one to spare the
            connection and cuts a long one off. source: file to send. sent: hears of the bytes sent.
    """

    method: str
    url: str
    own: bool
    headers: tuple[str, ...] = ()
    receive: Callable[[Response], Receiver | None] = lambda _: None
    source: Path | None = None
    sent: Callable[[int], None] = lambda _: None


Task = Generator[Request | float, Response | None, T]
