"""A build's log as it grows: what came once does not come again, wherever the connection broke."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

import httpx

from mlbutler.jenkins.builds import Job

_NOTE = re.compile("\x1b\\[8mha:.*?\x1b\\[0m")
_DIGITS = re.compile(r"[0-9]{1,18}")
_TRIES = 5
_LONGEST = 64 << 10
"""Characters of a line; a longer one comes as several."""


class ConsoleText:
    """Read one build's log from where it was read last.

    Attributes:
        more: whether the build goes on writing.
    """

    def __init__(self, job: Job, number: int) -> None:
        self._job, self._number = job, number
        self._start = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self.more = True

    def lines(self) -> Iterator[str]:
        """Yield the lines that were written since, whole ones while the build goes on.

        Raises:
            AccessDenied, OutsideError: the controller does not answer.
        """
        for piece in self._pieces():
            *whole, self._rest = (self._rest + self._decoder.decode(piece)).split("\n")
            yield from map(_plain, whole)
            if len(self._rest) > _LONGEST:  # a progress bar, or a program that writes no line's end
                yield _plain(self._rest)
                self._rest = ""
        if not self.more:
            last = self._rest + self._decoder.decode(b"", final=True)
            self._rest = ""
            if last:
                yield _plain(last)

    def _pieces(self) -> Iterator[bytes]:
        """Yield what one answer holds, asked for again where it breaks off.

        How far the log has been read is what the controller says at the answer's head: the body is longer, since a
        carriage return is put before each line's end.
        """
        seen = 0
        for left in reversed(range(_TRIES)):
            passed = 0
            try:
                with self._job.client.stream(self._job.log_path(self._number), {"start": str(self._start)}) as answer:
                    for piece in answer.iter_bytes():
                        new = piece[max(seen - passed, 0) :]
                        passed += len(piece)
                        if new:
                            seen += len(new)
                            yield new
                    self._start = _size(answer.headers.get("X-Text-Size"), self._start)
                    self.more = answer.headers.get("X-More-Data", "") == "true"
                return
            except httpx.HTTPError as error:
                if not left:
                    raise self._job.client.unreachable_error(error) from error


def end_of(job: Job, number: int, most: int) -> list[str]:
    """Return the lines at the end of a build's log, of about so many bytes.

    Raises:
        AccessDenied, OutsideError: the controller does not answer.
    """
    client, path = job.client, job.log_path(number)
    try:
        with client.stream(path, {"start": "0"}) as answer:  # its head says how long the log is
            start = max(_size(answer.headers.get("X-Text-Size"), 0) - most, 0)
            content = _first(answer.iter_bytes(), 2 * most) if not start else b""
        if start:
            with client.stream(path, {"start": str(start)}) as answer:
                content = _first(answer.iter_bytes(), 2 * most)
    except httpx.HTTPError as error:
        raise client.unreachable_error(error) from error
    lines = content.decode("utf-8", "replace").split("\n")
    return [_plain(line) for line in (lines[1:] if start else lines)]


def _first(pieces: Iterator[bytes], most: int) -> bytes:
    """Return the pieces until they are so many bytes."""
    found = b""
    for piece in pieces:
        found += piece
        if len(found) >= most:
            break
    return found[:most]


def _size(said: str | None, before: int) -> int:
    """Return how far the log has been read; what it was before where the controller does not say."""
    if said is None or not _DIGITS.fullmatch(said):
        return before
    return int(said)


def _plain(line: str) -> str:
    """Return a line without the notes that the controller puts into it for its own page."""
    line = line.removesuffix("\r")
    return _NOTE.sub("", line) if "\x1b[8m" in line else line
