"""Repeat calls to a remote that does not answer: with growing pauses, and not forever."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Generator
from typing import TypeVar

from mlbutler.errors import StoreError

S = TypeVar("S")
T = TypeVar("T")
Y = TypeVar("Y")

_LONGEST_PAUSE = 60.0


class Transient(StoreError):
    """A failure that may pass: worth another attempt.

    Attributes:
        retry_after: seconds that the remote asked to wait, None when it did not say.
    """

    def __init__(self, message: str, remedy: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, remedy)
        self.retry_after = retry_after


class RetryPolicy:
    """Repeats calls to one remote; shared by its threads.

    Args:
        attempts: calls in all for one object.
        pause: seconds before the second attempt; doubled each time, with jitter.
        give_up_after: objects in a row that failed for good before all further ones fail at once, so that a
            remote that is down does not cost all attempts for each of thousands of objects.
    """

    def __init__(self, attempts: int = 5, pause: float = 0.5, give_up_after: int = 8) -> None:
        self.attempts, self.pause, self.give_up_after = attempts, pause, give_up_after
        self._failed = 0
        self._last: StoreError | None = None
        self._lock = threading.Lock()

    def call(self, function: Callable[[], T]) -> T:
        """Call the function and return its result; repeat it after `Transient` errors, and raise all others at once.

        Raises:
            StoreError: it failed each time.
        """

        def once() -> Generator[float, None, T]:
            yield from ()
            return function()

        task = self.repeat(once)
        while True:
            try:
                time.sleep(next(task))
            except StopIteration as end:
                result: T = end.value
                return result

    def repeat(
        self, task: Callable[[], Generator[Y, S, T]], slow_down: Callable[[], None] = lambda: None
    ) -> Generator[Y | float, S, T]:
        """Repeat as `call` does, for a task that is a generator; yield a number of seconds where it has to pause.

        Args:
            slow_down: called when the remote says that it is asked too much.
        """
        with self._lock:
            if self._last is not None and self._failed >= self.give_up_after:
                raise StoreError(f"Given up: {self._last.message}", self._last.remedy)
        for attempt in range(1, self.attempts + 1):
            try:
                result = yield from task()
            except Transient as error:
                if error.retry_after is not None:
                    slow_down()
                if attempt == self.attempts:
                    with self._lock:
                        self._failed += 1
                        self._last = error
                    raise
                pause = self._wait(attempt, error.retry_after)
            else:
                with self._lock:
                    self._failed = 0
                return result
            yield pause
        raise AssertionError("unreachable")

    def _wait(self, attempt: int, retry_after: float | None) -> float:
        if retry_after is not None:
            return min(max(retry_after, 0.0), _LONGEST_PAUSE)
        return float(min(self.pause * 2 ** (attempt - 1), _LONGEST_PAUSE) * random.uniform(0.75, 1.25))
