"""A DVC remote over HTTP(S): objects are asked for with HEAD, fetched with GET, stored with POST or PUT.

What DVC's own client takes for "absent" is three things here: only 404 and 410 mean missing; 401 and 403 are
refusals; everything else is a failure that is retried and then said.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit, urlunsplit

from mlbutler.console import human_bytes
from mlbutler.errors import AccessDenied, CorruptObject, MlbutlerError, StoreError
from mlbutler.retry_after import retry_after
from mlbutler.store.http.access import Access, encoded
from mlbutler.store.http.concurrency import AdaptiveConcurrency
from mlbutler.store.http.curl import Driver, TransferError
from mlbutler.store.http.download import Download
from mlbutler.store.http.exchange import Receiver, Request, Response, Sign, Task
from mlbutler.store.interface import Arrived, Counter, DownloadRequest, ObjectId, ObjectStatus, Presence, Results
from mlbutler.store.limits import too_slow
from mlbutler.store.retry import RetryPolicy, Transient
from mlbutler.store.verify import EMPTY_MD5

T = TypeVar("T")

_METHODS = ("HEAD", "GET")
_MISSING = (404, 410)
_DENIED = (401, 403, 407)
_REDIRECTS = (301, 302, 303, 307, 308)
_PASSING = (408, 425, 429, 500, 502, 503, 504, 507, 509, 520, 521, 522, 523, 524)
_ASK_AGAIN = (400, 403, 404, 405, 410, 501)
"""Answers to HEAD that some servers give although they answer GET: not believed alone."""
_MOST_REDIRECTS = 5
_PAGE_LIMIT = 16 << 20


class HttpStore:
    """Objects below one URL.

    Args:
        name: the remote's name.
        url: the remote's address; a user name and password in it are used and never shown.
        config: keys of DVC's remote configuration; see `mlbutler.store.http.access.Access`, and ``method``.
        environ: where a .netrc file is looked for.
        jobs: transfers at once; found out when None.
        sign: returns headers for each request's method and address.

    Raises:
        AccessDenied: the configuration asks for credentials that are not there.
        SettingsError: the configuration contradicts itself.
    """

    def __init__(
        self,
        name: str,
        url: str,
        config: Mapping[str, Any],
        *,
        environ: Mapping[str, str] | None = None,
        jobs: int | None = None,
        policy: RetryPolicy | None = None,
        sign: Sign | None = None,
    ) -> None:
        parts = urlsplit(encoded(url))
        self.name = name
        self.url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="")).rstrip("/")
        self._origin, self._top = _origin(self.url), urlsplit(self.url).path
        self._access = Access(name, url, config, environ or {})
        self._driver = Driver(self._access.configure, self._access.read_timeout, sign)
        self._method = str(config.get("method") or "POST").upper()
        self._policy = policy or RetryPolicy()
        self._pace = AdaptiveConcurrency(jobs)
        self._believed: tuple[str, ...] | None = None

    # ------------------------------------------------------------------------------------ presence

    def ask(self, objects: Iterable[ObjectId]) -> dict[ObjectId, ObjectStatus]:
        """Ask with HEAD for each object; with GET too before one is called missing or refused."""
        return dict(self.ask_many(objects, threading.Event()))

    def ask_many(self, objects: Iterable[ObjectId], stop: threading.Event) -> Results[ObjectStatus]:
        """Ask as `ask` does; yield each answer when it is there."""
        if self._believed is None:
            self._believed = self._driver.one(self._believable())
        for oid, answer in self._driver.run(((oid, self._ask_with_retries(oid)) for oid in objects), self._pace, stop):
            if isinstance(answer, BaseException):
                raise answer
            yield oid, answer

    def _ask_with_retries(self, oid: ObjectId) -> Task[ObjectStatus]:
        try:
            return (yield from self._with_retries(lambda: self._ask(oid)))
        except StoreError as error:
            denied = isinstance(error, AccessDenied)
            return ObjectStatus(Presence.UNDETERMINED, reason=error.message, denied=denied, remedy=error.remedy)

    def _believable(self) -> Task[tuple[str, ...]]:
        """Return the methods, of HEAD and GET, that do not claim to find an object which nobody can have made."""
        impossible = ObjectId(secrets.token_hex(16))
        for number, method in enumerate(_METHODS):
            try:
                response = yield from self._exchange(method, impossible)
            except StoreError:  # says nothing; requests for real objects are repeated
                return _METHODS
            if not 200 <= response.status < 300 or _is_page(response):
                return _METHODS[number:]
        return ()

    def _ask(self, oid: ObjectId) -> Task[ObjectStatus]:
        methods = _METHODS if self._believed is None else self._believed
        if not methods:
            return ObjectStatus(
                Presence.UNDETERMINED,
                reason=f"remote '{self.name}' says of every object that it is there, even of one that nobody made",
                remedy="Check the remote's url: a proxy or a web page seems to answer.",
            )
        response = yield from self._exchange(methods[0], oid)
        if methods[0] == "HEAD" and (response.status in _ASK_AGAIN or not _tells_size(response, oid)):
            response = yield from self._exchange("GET", oid)
        if response.status in _MISSING:
            return ObjectStatus(Presence.MISSING)
        self._refuse(response)
        if _is_page(response):
            return (yield from self._page(oid))
        return ObjectStatus(Presence.PRESENT, 0 if response.status == 204 else response.length)

    def _page(self, oid: ObjectId) -> Task[ObjectStatus]:
        """Return the answer for an HTML page with status 200: its hash tells the object itself from a login page."""
        digest, size = hashlib.md5(usedforsecurity=False), 0

        def hash_blocks(blocks: Sequence[bytes]) -> None:
            nonlocal size
            for block in blocks:
                digest.update(block)
                size += len(block)
            if size > _PAGE_LIMIT:
                raise _TooLarge

        try:
            response = yield from self._exchange("GET", oid, receive=lambda _: hash_blocks)
        except _TooLarge:
            return ObjectStatus(Presence.UNDETERMINED, reason=f"a page came instead of the object {oid.key}")
        self._refuse(response)
        if digest.hexdigest() == oid.md5.removesuffix(".dir"):
            return ObjectStatus(Presence.PRESENT, size)
        came = self._describe_response(response, size)
        return ObjectStatus(Presence.UNDETERMINED, reason=f"a page came instead of the object: {came}")

    # ------------------------------------------------------------------------------------ transfer

    def get(self, oid: ObjectId, destination: Path, count: Counter, most: int | None = None) -> Arrived:
        """Stream the object to `destination`.

        Raises:
            FileNotFoundError: 404. AccessDenied: 401, 403. CorruptObject: the body was cut short each time, or is
            larger than `most`. StoreError: it could not be read. OSError: `destination` cannot be written.
        """
        return self._driver.one(self._get_with_retries(DownloadRequest(oid, str(destination), most), count))

    def get_many(
        self, wanted: Iterable[DownloadRequest], count: Counter, stop: threading.Event
    ) -> Results[Arrived | BaseException]:
        """Get objects as `get` does; yield each when it has come."""
        tasks = ((one.oid, self._get_with_retries(one, count)) for one in wanted)
        return self._driver.run(tasks, self._pace, stop)

    def _get_with_retries(self, wanted: DownloadRequest, count: Counter) -> Task[Arrived]:
        download = Download(self.name, wanted.oid, wanted.destination, count, wanted.most)
        try:
            return (yield from self._with_retries(lambda: self._get(wanted.oid, download)))
        finally:
            download.close()

    def _get(self, oid: ObjectId, download: Download) -> Task[Arrived]:
        headers = download.resuming()
        try:
            response = yield from self._exchange("GET", oid, receive=download.receive, headers=headers)
        except Transient:
            download.close()
            raise
        if response.status in _MISSING:
            raise FileNotFoundError(oid.key)
        if response.status == 416 and headers:
            download.forget()
            raise Transient(f"Remote '{self.name}' has another {oid.key} than it began to send.", "Run again.")
        self._refuse(response, partial=bool(headers))
        return download.finish(lambda: self._describe_response(response, download.size))

    def put(self, oid: ObjectId, source: Path, count: Counter) -> None:
        """Send the file with the remote's `method`.

        Raises:
            AccessDenied: 401, 403. StoreError: the server did not take it. OSError: `source` cannot be read.
        """
        self._driver.one(self._with_retries(lambda: self._put(oid, source, count)))

    def put_many(
        self, sources: Iterable[tuple[ObjectId, Path]], count: Counter, stop: threading.Event
    ) -> Results[ObjectStatus | BaseException]:
        """Put objects as `put` does, then ask for what was put; yield the answer of each when it is there."""
        tasks = ((oid, self._put_and_ask(oid, source, count)) for oid, source in sources)
        return self._driver.run(tasks, self._pace, stop)

    def _put_and_ask(self, oid: ObjectId, source: Path, count: Counter) -> Task[ObjectStatus]:
        yield from self._with_retries(lambda: self._put(oid, source, count))
        return (yield from self._ask_with_retries(oid))

    def _put(self, oid: ObjectId, source: Path, count: Counter) -> Task[None]:
        # A server that knows this header refuses what arrives otherwise.
        digest = base64.b64encode(bytes.fromhex(oid.md5.removesuffix(".dir"))).decode()
        headers = () if oid.legacy else (f"Content-MD5: {digest}",)
        response = yield from self._exchange(self._method, oid, source=source, count=count, headers=headers)
        self._refuse(response)

    # ------------------------------------------------------------------------------------ exchange

    def _with_retries(self, task: Callable[[], Task[T]]) -> Task[T]:
        return self._policy.repeat(task, self._pace.slow_down)

    def _exchange(
        self,
        method: str,
        oid: ObjectId,
        *,
        receive: Callable[[Response], Receiver | None] = lambda _: None,
        headers: tuple[str, ...] = (),
        source: Path | None = None,
        count: Counter = lambda _: None,
    ) -> Generator[Request | float, Response | None, Response]:
        """Send one request and follow its redirects; credentials go to the remote's own host alone."""
        url, own = f"{self.url}/{oid.key}", True
        for _ in range(_MOST_REDIRECTS + 1):
            request = Request(method, url, own, headers, _past_redirects(receive), source, count)
            response = yield from self._send(request, oid.key)
            target = response.header("location")
            if response.status not in _REDIRECTS or not target:
                return response
            if source is not None and response.status not in (307, 308):
                raise StoreError(
                    f"Remote '{self.name}' redirects an upload of {oid.key} ({response.status}).",
                    f"dvc remote modify {self.name} url <the address it redirects to>",
                )
            try:
                url = encoded(urljoin(url, target))
                own = _origin(url) == self._origin
            except ValueError:
                raise StoreError(
                    f"Remote '{self.name}' redirects {oid.key} to an address that is none.", "Check the remote's url."
                ) from None
        raise StoreError(f"Remote '{self.name}' redirects {oid.key} without end.", "Check the remote's url.")

    def _send(self, request: Request, what: str) -> Generator[Request | float, Response | None, Response]:
        try:
            response = yield request
        except TransferError as broken:
            raise self._transfer_error(broken, what) from None
        assert response is not None
        return response

    def _refuse(self, response: Response, *, partial: bool = False) -> None:
        status = response.status
        if 200 <= status < 300 and (status != 206 or partial):
            return
        what = f"Remote '{self.name}' answered {status} {response.reason}".rstrip()
        what += f" for {self._path(response.url)}"
        if status in _DENIED:
            raise AccessDenied(f"{what}.", self._access.refusal_remedy(self.name, status))
        if status in _PASSING:
            raise Transient(
                f"{what}.",
                "The remote has a problem; run again later.",
                retry_after(response.header("retry-after")),
            )
        remedy = "Check the remote's url."
        if status in (404, 405, 501):
            remedy = f"The server may want another method: dvc remote modify {self.name} method PUT"
        raise StoreError(f"{what}.", remedy)

    def _transfer_error(self, broken: TransferError, key: str) -> MlbutlerError:
        # libcurl's own text may hold addresses; its kind says enough.
        where = f"{urlsplit(self.url).path.rstrip('/')}/{key}"
        if broken.unusable:
            return StoreError(f"Remote '{self.name}' cannot be used for {where}.", "Check the remote's url.")
        if broken.cut_short and broken.response is not None:
            expected = broken.response.length
            return _CutShort(
                f"{self._path(broken.response.url)} on remote '{self.name}' was cut short: {broken.response.size} of "
                f"{expected if expected is not None else 'unknown'} bytes came.",
                "Run again; if it stays so, the server or a proxy truncates large answers.",
            )
        if broken.unverified:
            return StoreError(
                f"Remote '{self.name}' shows a certificate that is not trusted, for {where}.",
                f"dvc remote modify {self.name} ssl_verify <path of the certificate authority's file>",
            )
        if broken.too_slow:
            return too_slow(self.name, where)
        if broken.timed_out:
            what = "did not answer in time"
        elif broken.unreachable:
            what = "cannot be reached"
        else:
            what = f"broke the connection (libcurl {broken.code})"
        host = urlsplit(self.url).hostname
        return Transient(
            f"Remote '{self.name}' {what} for {where}.", f"Check the network and that {host} is up, then run again."
        )

    def _path(self, url: str) -> str:
        if url.startswith(f"{self.url}/") and "?" not in url and "#" not in url:
            return f"{self._top}{url[len(self.url) :]}"
        parts = urlsplit(url)
        return parts.path if _origin(url) == self._origin else f"{parts.hostname}{parts.path}"

    def _describe_response(self, response: Response, size: int) -> str:
        kind = (response.header("content-type") or "no content type")[:80]
        return f"{self._path(response.url)} answered {response.status} with {kind!r}, {human_bytes(size)}"


class _TooLarge(Exception):
    """A page that is too long to be looked at."""


class _CutShort(CorruptObject, Transient):
    """A body that ended early; the next try may succeed."""

    def __init__(self, message: str, remedy: str = "") -> None:
        Transient.__init__(self, message, remedy)


def _past_redirects(receive: Callable[[Response], Receiver | None]) -> Callable[[Response], Receiver | None]:
    return lambda response: None if response.status in _REDIRECTS else receive(response)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(scheme)


def _tells_size(response: Response, oid: ObjectId) -> bool:
    """Tell whether a HEAD's length counts: some servers send none, or that of the empty body they send."""
    if not 200 <= response.status < 300 or oid.md5 == EMPTY_MD5:
        return True
    return bool(response.length)


def _is_page(response: Response) -> bool:
    return response.header("content-type").lower().startswith(("text/html", "application/xhtml"))
