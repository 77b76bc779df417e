"""How many transfers at once: as many as the settings say, else as many as still make it faster."""

from __future__ import annotations

import time
from collections.abc import Callable

_FIRST, _MOST = 8, 64
_WINDOW = 0.25
_WORTH = 1.15
_BURST, _RECOVERY = 1.0, 5.0
_OBJECT = 1 << 18
"""One finished object counts like so many bytes: small ones are limited by round trips, large ones by bandwidth."""


class AdaptiveConcurrency:
    """The number of transfers at once, for one remote.

    It doubles while that brings at least 15 % more in a quarter of a second. It is halved when the remote asks to slow
    down, and grows by one for every five seconds without such an answer after that.

    Args:
        jobs: a fixed number; None finds it out.
    """

    def __init__(self, jobs: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.width = jobs or _FIRST
        self._most = jobs or _MOST
        self._done = 0
        self._rate = 0.0
        self._since: float | None = None
        self._growing = jobs is None
        self._slowed: float | None = None

    def note_finished(self, nbytes: int) -> None:
        """Note that a transfer ended, having moved so many bytes."""
        now = self._clock()
        if self._since is None:
            self._since = now
        if self._slowed is not None:
            if now - self._slowed >= _RECOVERY and self.width < self._most:
                self.width, self._slowed = self.width + 1, now
            return
        self._done += nbytes + _OBJECT
        passed = now - self._since
        if not self._growing or passed < _WINDOW:
            return
        rate = self._done / passed
        if rate >= self._rate * _WORTH:
            self._rate, self.width = rate, min(self.width * 2, self._most)
        else:
            self._growing = False
        self._since, self._done = now, 0

    def slow_down(self) -> None:
        """Use fewer, as the remote asked; what was under way by then gets the same answer, and counts once."""
        now = self._clock()
        if self._slowed is None or now - self._slowed >= _BURST:
            self.width, self._slowed = max(self.width // 2, 1), now
