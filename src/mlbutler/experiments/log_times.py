"""Lines with the time in a log, one a minute at most, by which `train logs --since` finds where to begin.

A time before each line would make a long log a fifth longer, and stands before each line in Jenkins already where
the controller has the plugin for that.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

_EVERY = 60.0
_FORM = "[%Y-%m-%d %H:%M:%S UTC]"
_LINE = re.compile(rb"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\]$", re.MULTILINE)


class LogClock:
    """Decide before which lines of a log the time is written: when the last one is a minute old, or older.

    Args:
        now: as `time.time`. again: whether the log has lines of an earlier attempt.
    """

    def __init__(self, now: float, *, again: bool) -> None:
        self._said = float("-inf") if again else now

    def time_line(self, now: float) -> str:
        """Return the line with the time to write before a line of now; '' where the last one is recent."""
        if abs(now - self._said) < _EVERY:
            return ""
        self._said = now
        return datetime.fromtimestamp(now, UTC).strftime(_FORM)


def log_since(content: bytes, when: float) -> bytes:
    """Return a log from the last time in it that is not after `when`: up to a minute more, and no line less.

    A time that is before an earlier one is a program's, or of a clock that was set: it decides nothing.
    """
    start, latest = 0, float("-inf")
    for match in _LINE.finditer(content):
        time = _time(match[0])
        if time is None or time < latest:
            continue
        if time > when:
            break
        start, latest = match.start(), time
    return content[start:]


def _time(line: bytes) -> float | None:
    try:
        return datetime.strptime(line.decode(), _FORM).replace(tzinfo=UTC).timestamp()
    except ValueError:  # a 31st of February, printed by a program
        return None
