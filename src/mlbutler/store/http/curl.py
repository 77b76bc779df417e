"""Many HTTP exchanges at once in one thread, by libcurl: the only module that knows `pycurl`.

A task is a generator. It yields a `Request` and is sent its `Response`, or has a `TransferError` thrown in; it yields a
number to pause for so many seconds; what it returns is its result. Thousands of tasks share a few connections.
"""

from __future__ import annotations

import heapq
import itertools
import math
import re
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import IO, Any, Protocol, TypeVar

import pycurl

from mlbutler.store import limits
from mlbutler.store.http.exchange import Receiver, Request, Response, Sign, Task

K = TypeVar("K")
T = TypeVar("T")

_BUFFER = 1 << 19
_BLOCKS = 16
"""Blocks of a body that are taken at once: of 16 KB each, they are still in the processor's cache."""
_POLL = 0.2
_SHORT = 1 << 16
_KEPT_HANDLES = 64
_HEADERS = ("User-Agent: mlbutler", "Accept-Encoding: identity")
_HTTP2 = bool(pycurl.version_info()[4] & pycurl.VERSION_HTTP2)
_STATUS_LINE = re.compile(r"HTTP/\S*[ \t]+(\d+)[ \t]*([^\r\n]*)")

Configure = Callable[[Any, Request], list[str]]
"""Sets credentials, certificates and time-outs of a `pycurl.Curl` for a request; returns headers to add."""


class TransferError(Exception):
    """An exchange that did not come to its end.

    Attributes:
        code: libcurl's error number. response: as far as it came, None when nothing did.
    """

    def __init__(self, code: int, text: str, response: Response | None) -> None:
        super().__init__(text)
        self.code, self.text, self.response = code, text, response

    @property
    def timed_out(self) -> bool:
        """Tell whether nothing came for too long."""
        return bool(self.code == pycurl.E_OPERATION_TIMEDOUT)

    @property
    def too_slow(self) -> bool:
        """Tell whether bytes came, but too few. libcurl has one number for both, and its text tells them apart."""
        return self.timed_out and "too slow" in self.text

    @property
    def unreachable(self) -> bool:
        """Tell whether there was no connection at all."""
        return self.code in (pycurl.E_COULDNT_CONNECT, pycurl.E_COULDNT_RESOLVE_HOST, pycurl.E_COULDNT_RESOLVE_PROXY)

    @property
    def cut_short(self) -> bool:
        """Tell whether the body ended before its announced length."""
        return bool(self.code == pycurl.E_PARTIAL_FILE)

    @property
    def unverified(self) -> bool:
        """Tell whether the server's certificate is not one that is trusted."""
        return self.code in (pycurl.E_PEER_FAILED_VERIFICATION, pycurl.E_SSL_CACERT_BADFILE)

    @property
    def unusable(self) -> bool:
        """Tell whether the address is no HTTP address."""
        return self.code in (pycurl.E_URL_MALFORMAT, pycurl.E_UNSUPPORTED_PROTOCOL)


class Concurrency(Protocol):
    """How many tasks run at once."""

    @property
    def width(self) -> int:
        """Return how many may run now."""
        ...

    def note_finished(self, nbytes: int) -> None:
        """Note that a task ended, having moved so many bytes."""
        ...


@dataclass(eq=False, slots=True)
class _Transfer:
    """One request under way.

    Attributes:
        head, blocks: lines of headers, and what of the body came and was not taken yet. Doing more for each of them
            would cost more than all else. heard: how many lines `_Loop` has seen.
        answer: read from the first `known` lines.
    """

    request: Request
    kind: _Kind | None
    head: list[bytes] = field(default_factory=list)
    blocks: list[bytes] = field(default_factory=list)
    heard: int = 0
    answer: Response | None = None
    known: int = 0
    size: int = 0
    moved: int = 0
    receiver: Receiver | None = None
    chosen: bool = False
    stopped: bool = False
    error: BaseException | None = None
    file: IO[bytes] | None = None
    quiet: float = 0.0

    def response(self) -> Response | None:
        """Return the response as far as it came; of several answers, as 100 and then 200, the last."""
        if self.known != len(self.head):
            self.answer, self.known = self._read(), len(self.head)
        if self.answer is not None:
            self.answer.size = self.size
        return self.answer

    def _read(self) -> Response | None:
        text = b"".join(self.head).decode("latin-1")
        start = text.rfind("\nHTTP/") + 1
        first = _STATUS_LINE.match(text, start)
        return Response(int(first[1]), first[2], text[start:], self.request.url) if first is not None else None

    def add(self, block: bytes) -> int | None:
        """Keep a block until there are some; -1 ends the transfer, since no exception may reach libcurl."""
        self.blocks.append(block)
        return None if len(self.blocks) < _BLOCKS or self.take() else -1

    def take(self) -> bool:
        """Give what came to the receiver; return whether the transfer may go on."""
        if not self.blocks:
            return True
        size = sum(map(len, self.blocks))
        self.quiet = 0.0
        self.size += size
        try:
            self.choose()
            if self.receiver is not None:
                self.receiver(self.blocks)
            elif self.size > _SHORT:
                self.stopped = True
        except BaseException as error:
            self.error = error
        self.blocks.clear()
        self.moved += size
        return self.error is None and not self.stopped

    def choose(self) -> None:
        if not self.chosen:
            self.chosen = True
            response = self.response()
            assert response is not None
            self.receiver = self.request.receive(response)

    def read(self, size: int) -> bytes | int:
        self.quiet = 0.0
        try:
            assert self.file is not None
            block = self.file.read(size)
            self.request.sent(len(block))
        except BaseException as error:
            self.error = error
            return int(pycurl.READFUNC_ABORT)
        self.moved += len(block)
        return block

    def seek(self, offset: int, origin: int) -> int:
        assert self.file is not None
        self.file.seek(offset, origin)
        return int(pycurl.SEEKFUNC_OK)


class Driver:
    """Runs tasks against one remote and keeps its connections.

    Args:
        configure: called for each request.
        timeout: seconds without a byte in either direction after which an exchange is given up.
        sign: called for each request, and again for each repetition.
    """

    def __init__(self, configure: Configure, timeout: float, sign: Sign | None = None) -> None:
        self._configure, self._timeout, self._sign = configure, timeout, sign
        self._lock = threading.Lock()
        self._kept: _Loop | None = None

    def run(
        self, tasks: Iterable[tuple[K, Task[T]]], pace: Concurrency, stop: threading.Event
    ) -> Generator[tuple[K, T | BaseException], None, None]:
        """Yield each task's key with its result or its exception, in the order in which they end.

        Tasks are taken from the iterable as there is room. Setting `stop` ends it; tasks that have not ended by then
        are closed and not spoken of.
        """
        if not self._lock.acquire(blocking=False):  # connections are not shared between threads
            with _Loop(self._configure, self._timeout, self._sign) as loop:
                yield from loop.run(tasks, pace, stop)
            return
        try:
            if self._kept is None:
                self._kept = _Loop(self._configure, self._timeout, self._sign)
            yield from self._kept.run(tasks, pace, stop)
        finally:
            self._lock.release()

    def one(self, task: Task[T]) -> T:
        """Run one task and return its result, or raise its exception."""
        for _, result in self.run([(None, task)], _ALONE, threading.Event()):
            if isinstance(result, BaseException):
                raise result
            return result
        raise AssertionError("unreachable")


class _Alone:
    width = 1

    def note_finished(self, nbytes: int) -> None:
        pass


_ALONE = _Alone()


_Kind = tuple[str, bool]
"""Method of a request that sends nothing of its own, and whether it carries the remote's credentials."""


class _Loop:
    """One `CurlMulti` and its handles; one that is free is kept as it was set up, for the next request of its kind."""

    def __init__(self, configure: Configure, timeout: float, sign: Sign | None) -> None:
        self._configure, self._timeout, self._sign = configure, timeout, sign
        self._multi = pycurl.CurlMulti()
        self._free: defaultdict[_Kind | None, list[Any]] = defaultdict(list)
        self._live: dict[Any, tuple[Any, Task[Any], _Transfer]] = {}
        self._waiting: list[tuple[float, int, Any, Task[Any]]] = []
        self._ended: deque[tuple[Any, Any]] = deque()
        self._numbers = itertools.count()

    def __enter__(self) -> _Loop:
        return self

    def __exit__(self, *_: object) -> None:
        self._multi.close()

    def run(
        self, tasks: Iterable[tuple[K, Task[T]]], pace: Concurrency, stop: threading.Event
    ) -> Generator[tuple[K, T | BaseException], None, None]:
        todo = iter(tasks)
        more = True
        self._pace = pace
        try:
            while not stop.is_set():
                while more and len(self._live) + len(self._waiting) < pace.width:
                    item = next(todo, None)
                    if item is None:
                        more = False
                    else:
                        self._advance(*item, None)
                while self._ended:
                    yield self._ended.popleft()
                if self._live or self._waiting:
                    self._turn()
                elif not more and not self._ended:
                    return
        finally:
            for handle, (_, task, _transfer) in list(self._live.items()):
                self._release(handle)
                task.close()
            for _, _, _, task in self._waiting:
                task.close()
            self._waiting.clear()
            self._ended.clear()

    def _turn(self) -> None:
        """Let the network move, then the tasks it was for."""
        started = time.monotonic()
        due = self._waiting[0][0] - started if self._waiting else _POLL
        if self._live:
            self._multi.perform()
            if not self._collect():
                self._multi.select(max(min(due, _POLL), 0.001))
                self._multi.perform()
                self._collect()
        else:
            time.sleep(max(min(due, _POLL), 0.0))
        now = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            _, _, key, task = heapq.heappop(self._waiting)
            self._advance(key, task, None)
        self._look(now - started)

    def _collect(self) -> int:
        count = 0
        left = 1
        while left:
            left, good, bad = self._multi.info_read()
            for handle in good:
                self._finish_transfer(handle, 0, "")
            for handle, code, text in bad:
                self._finish_transfer(handle, code, text)
            count += len(good) + len(bad)
        return count

    def _look(self, passed: float) -> None:
        """Let those that are under way take what came, and give up those that were quiet for too long."""
        for handle, (_, _, transfer) in list(self._live.items()):
            transfer.quiet += passed
            if transfer.heard != len(transfer.head):
                transfer.heard, transfer.quiet = len(transfer.head), 0.0
            if not transfer.take():
                self._finish_transfer(handle, pycurl.E_WRITE_ERROR, "not wanted")
            elif transfer.quiet > self._timeout:
                self._finish_transfer(handle, pycurl.E_OPERATION_TIMEDOUT, "no answer in time")

    def _finish_transfer(self, handle: Any, code: int, text: str) -> None:
        key, task, transfer = self._live[handle]
        transfer.take()
        try:
            if code == 0 and transfer.error is None:
                transfer.choose()  # for a response without a body
        except BaseException as error:
            transfer.error = error
        self._release(handle)
        if transfer.error is not None:
            self._advance(key, task, transfer.error)
        elif code and not transfer.stopped:
            self._advance(key, task, TransferError(code, text, transfer.response()))
        else:
            self._advance(key, task, transfer.response())
        self._pace.note_finished(transfer.moved)

    def _release(self, handle: Any) -> None:
        _, _, transfer = self._live.pop(handle)
        self._multi.remove_handle(handle)
        if transfer.file is not None:
            transfer.file.close()
        kept = self._free[transfer.kind]
        if transfer.error is not None or len(kept) >= _KEPT_HANDLES:
            handle.close()
            return
        if transfer.kind is None:
            handle.reset()
        kept.append(handle)

    def _advance(self, key: Any, task: Task[Any], value: Response | BaseException | None) -> None:
        """Give a task what it waits for, and do what it asks next."""
        try:
            command = task.throw(value) if isinstance(value, BaseException) else task.send(value)
            if isinstance(command, Request):
                self._start(key, task, command)
            else:
                heapq.heappush(self._waiting, (time.monotonic() + command, next(self._numbers), key, task))
        except StopIteration as end:
            self._ended.append((key, end.value))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            task.close()
            self._ended.append((key, error))

    def _start(self, key: Any, task: Task[Any], request: Request) -> None:
        transfer = _Transfer(request, _kind(request))
        kept = self._free[transfer.kind]
        handle = kept.pop() if kept else None
        if handle is None or transfer.kind is None:
            handle = self._set_up(handle or pycurl.Curl(), request, transfer)
        handle.setopt(pycurl.URL, request.url)
        if self._sign is not None:
            signed = self._sign(request.method, request.url)
            handle.setopt(pycurl.HTTPHEADER, [*_HEADERS, *request.headers, *signed])
        handle.setopt(pycurl.HEADERFUNCTION, transfer.head.append)
        handle.setopt(pycurl.WRITEFUNCTION, transfer.add)
        self._multi.add_handle(handle)
        self._live[handle] = key, task, transfer

    def _set_up(self, handle: Any, request: Request, transfer: _Transfer) -> Any:
        """Set up a handle with all that does not change from one request of a kind to the next."""
        handle.setopt(pycurl.NOSIGNAL, 1)
        handle.setopt(pycurl.LOW_SPEED_LIMIT, limits.SLOWEST)
        handle.setopt(pycurl.LOW_SPEED_TIME, math.ceil(max(limits.WINDOW, self._timeout)))
        handle.setopt(pycurl.BUFFERSIZE, _BUFFER)
        if request.method == "HEAD" and _HTTP2:
            # What only asks shares one connection where the server offers HTTP/2. Contents do not: a few large ones
            # would wait for one another there, and are no cheaper.
            handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
            handle.setopt(pycurl.PIPEWAIT, 1)
        else:
            handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        handle.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        headers = [*_HEADERS, *request.headers]
        if request.source is not None:
            size = request.source.stat().st_size
            transfer.file = request.source.open("rb")
            handle.setopt(pycurl.READFUNCTION, transfer.read)
            handle.setopt(pycurl.SEEKFUNCTION, transfer.seek)
            headers += ["Expect:", "Content-Type: application/octet-stream"]
            if request.method == "POST":
                handle.setopt(pycurl.POST, 1)
                handle.setopt(pycurl.POSTFIELDSIZE_LARGE, size)
            else:
                handle.setopt(pycurl.UPLOAD, 1)
                handle.setopt(pycurl.INFILESIZE_LARGE, size)
                handle.setopt(pycurl.CUSTOMREQUEST, request.method)
        elif request.method == "HEAD":
            handle.setopt(pycurl.NOBODY, 1)
        handle.setopt(pycurl.HTTPHEADER, headers + self._configure(handle, request))
        return handle


def _kind(request: Request) -> _Kind | None:
    return None if request.source is not None or request.headers else (request.method, request.own)
