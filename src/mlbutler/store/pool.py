"""Many small transfers at once, with bounded memory, stopped promptly by Ctrl-C.

The threads are daemons: a transfer that hangs in the network must not keep the process alive after the
user asked to stop, which the standard executor would do.
"""

from __future__ import annotations

import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from mlbutler.errors import Interrupted
from mlbutler.store.interface import Arrived, Counter, DownloadRequest, ObjectId, ObjectStatus, Results

T = TypeVar("T")
R = TypeVar("R")

_GRACE = 2.0


def imap_unordered(
    function: Callable[[T], R], items: Iterable[T], jobs: int, stop: threading.Event
) -> Generator[tuple[T, R | BaseException], None, None]:
    """Call `function` for each item in `jobs` threads; yield each item with its result or its exception.

    Items are taken from the iterable only as threads become free. When the consumer leaves early, by an
    exception or Ctrl-C, `stop` is set, no further item is started, and running calls get two seconds to
    notice.
    """
    if jobs <= 1:
        for item in items:
            yield item, _try_call(function, item, stop)
        return
    todo: queue.SimpleQueue[tuple[T] | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[T, R | BaseException]] = queue.SimpleQueue()
    threads: list[threading.Thread] = []

    def work() -> None:
        while (box := todo.get()) is not None:
            done.put((box[0], _try_call(function, box[0], stop)))

    pending = 0
    finished = False
    try:
        for item in items:
            if len(threads) < jobs:
                thread = threading.Thread(target=work, daemon=True, name="mlbutler-transfer")
                thread.start()
                threads.append(thread)
            todo.put((item,))
            pending += 1
            if pending >= 2 * jobs:
                yield done.get()
                pending -= 1
        while pending:
            yield done.get()
            pending -= 1
        finished = True
    finally:
        if not finished:
            stop.set()
        for _ in threads:
            todo.put(None)
        deadline = time.monotonic() + _GRACE
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0))


def _try_call(function: Callable[[T], R], item: T, stop: threading.Event) -> R | BaseException:
    if stop.is_set():
        return Interrupted("Stopped.")
    try:
        return function(item)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return error


class Threaded(ABC):
    """A store's methods for many objects, from those for one: in several threads.

    Attributes:
        jobs: transfers at once.
    """

    jobs: int

    @abstractmethod
    def ask(self, objects: Iterable[ObjectId]) -> dict[ObjectId, ObjectStatus]:
        """Ask for one object, as `Store.ask`."""

    @abstractmethod
    def get(self, oid: ObjectId, destination: Path, count: Counter, most: int | None = None) -> Arrived:
        """Get one object, as `Store.get`."""

    @abstractmethod
    def put(self, oid: ObjectId, source: Path, count: Counter) -> None:
        """Put one object, as `Store.put`."""

    def ask_many(self, objects: Iterable[ObjectId], stop: threading.Event) -> Results[ObjectStatus]:
        """Ask for many objects, as `Store.ask_many`."""
        with closing(imap_unordered(lambda oid: self.ask([oid])[oid], objects, self.jobs, stop)) as done:
            for oid, answer in done:
                if isinstance(answer, BaseException):
                    raise answer
                yield oid, answer

    def get_many(
        self, wanted: Iterable[DownloadRequest], count: Counter, stop: threading.Event
    ) -> Results[Arrived | BaseException]:
        """Get many objects, as `Store.get_many`."""

        def get(one: DownloadRequest) -> Arrived:
            return self.get(one.oid, Path(one.destination), count, one.most)

        with closing(imap_unordered(get, wanted, self.jobs, stop)) as done:
            for one, arrived in done:
                yield one.oid, arrived

    def put_many(
        self, sources: Iterable[tuple[ObjectId, Path]], count: Counter, stop: threading.Event
    ) -> Results[ObjectStatus | BaseException]:
        """Put many objects, as `Store.put_many`."""

        def put(pair: tuple[ObjectId, Path]) -> ObjectStatus:
            self.put(pair[0], pair[1], count)
            return self.ask([pair[0]])[pair[0]]

        with closing(imap_unordered(put, sources, self.jobs, stop)) as done:
            for (oid, _), answer in done:
                yield oid, answer
