"""A DVC remote over HTTP(S): objects are asked for with HEAD, fetched with GET, stored with POST or PUT.

What DVC's own client takes for "absent" is told apart here: only 404 and 410 mean missing; 401 and 403 are
refusals; everything else is a failure that is retried and then said.
"""

from __future__ import annotations

import email.utils
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from mlbutler.console import human_bytes
from mlbutler.errors import AccessDenied, CorruptObject, SettingsError, StoreError
from mlbutler.store.interface import Answer, Counter, ObjectId, Presence
from mlbutler.store.retry import Patience, Transient

if TYPE_CHECKING:
    import httpx

_BLOCK = 1 << 18
_MISSING = (404, 410)
_DENIED = (401, 403, 407)
_REDIRECTS = (301, 302, 303, 307, 308)
_PASSING = (408, 425, 429, 500, 502, 503, 504, 507, 509, 520, 521, 522, 523, 524)
_ASK_AGAIN = (400, 403, 404, 405, 410, 501)
"""Answers to HEAD that some servers give although they answer GET: not believed alone."""
_SHORT = 1 << 16
_MOST_REDIRECTS = 5
_PAGE_LIMIT = 16 << 20
_DEFAULT_TIMEOUT = 60.0


class HttpStore:
    """Objects below one URL.

    Args:
        name: the remote's name.
        url: the remote's address; a user name and password in it are used and never shown.
        config: keys of DVC's remote configuration: ``auth`` (basic, digest, custom), ``user``, ``password``,
            ``custom_auth_header``, ``method``, ``ssl_verify``, ``connect_timeout``, ``read_timeout``.
        environ: where ``NETRC`` and ``HOME`` are looked up; without them no .netrc file is read.
        jobs: connections kept open at once.

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
        jobs: int = 16,
        patience: Patience | None = None,
    ) -> None:
        import httpx

        parts = urlsplit(url)
        self.name = name
        self.url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="")).rstrip("/")
        self._origin = httpx.URL(self.url)
        self._auth = _auth(name, parts.username, parts.password, config, environ or {})
        self._method = str(config.get("method") or "POST").upper()
        self._patience = patience or Patience()
        connect, read = (_seconds(config.get(key)) for key in ("connect_timeout", "read_timeout"))
        self._client = httpx.Client(
            verify=_verification(name, config.get("ssl_verify")),
            timeout=httpx.Timeout(connect=connect, read=read, write=read, pool=None),
            limits=httpx.Limits(max_connections=jobs, max_keepalive_connections=jobs),
            headers={"Accept-Encoding": "identity", "User-Agent": "mlbutler"},
            follow_redirects=False,
        )

    # ------------------------------------------------------------------------------------ presence

    def ask(self, objects: Iterable[ObjectId]) -> dict[ObjectId, Answer]:
        """HEAD for each object; GET too before one is called missing or refused."""
        answers = {}
        for oid in objects:
            try:
                answers[oid] = self._patience.call(lambda oid=oid: self._ask(oid))  # type: ignore[misc]
            except StoreError as error:
                denied = isinstance(error, AccessDenied)
                answers[oid] = Answer(Presence.UNDETERMINED, reason=error.message, denied=denied)
        return answers

    def _ask(self, oid: ObjectId) -> Answer:
        with self._exchange("HEAD", oid) as response:
            if response.status_code not in _ASK_AGAIN:
                return self._answer(oid, response)
        with self._exchange("GET", oid) as response:  # closed before the body is read
            return self._answer(oid, response)

    def _answer(self, oid: ObjectId, response: httpx.Response) -> Answer:
        if response.status_code in _MISSING:
            return Answer(Presence.MISSING)
        self._refuse(response, oid)
        if _is_page(response):
            return self._page(oid)
        return Answer(Presence.PRESENT, _length(response))

    def _page(self, oid: ObjectId) -> Answer:
        """An HTML page with status 200 is either the object itself or a login page: its hash tells."""
        import hashlib

        digest, size = hashlib.md5(usedforsecurity=False), 0
        with self._exchange("GET", oid) as response:
            self._refuse(response, oid)
            for block in self._body(response, oid):
                digest.update(block)
                size += len(block)
                if size > _PAGE_LIMIT:
                    break
            else:
                if digest.hexdigest() == oid.md5.removesuffix(".dir"):
                    return Answer(Presence.PRESENT, size)
            came = self._came(response, size)
        return Answer(Presence.UNDETERMINED, reason=f"a page came instead of the object: {came}")

    # ------------------------------------------------------------------------------------ transfer

    def get(self, oid: ObjectId, destination: Path, count: Counter) -> str:
        """Stream the object to `destination`.

        Raises:
            FileNotFoundError: 404. AccessDenied: 401, 403. CorruptObject: the body was cut short each time.
            StoreError: it could not be read. OSError: `destination` cannot be written.
        """
        return self._patience.call(lambda: self._get(oid, destination, count))

    def _get(self, oid: ObjectId, destination: Path, count: Counter) -> str:
        size = 0
        with self._exchange("GET", oid) as response:
            if response.status_code in _MISSING:
                raise FileNotFoundError(oid.key)
            self._refuse(response, oid)
            with destination.open("wb", buffering=0) as file:
                for block in self._body(response, oid):
                    file.write(block)
                    size += len(block)
                    count(len(block))
            return self._came(response, size)

    def put(self, oid: ObjectId, source: Path, count: Counter) -> None:
        """Send the file with the remote's `method`.

        Raises:
            AccessDenied: 401, 403. StoreError: the server did not take it. OSError: `source` cannot be read.
        """
        self._patience.call(lambda: self._put(oid, source, count))

    def _put(self, oid: ObjectId, source: Path, count: Counter) -> None:
        size = source.stat().st_size
        with self._exchange(self._method, oid, source=source, size=size, count=count) as response:
            self._refuse(response, oid)

    # ------------------------------------------------------------------------------------ exchange

    @contextmanager
    def _exchange(
        self,
        method: str,
        oid: ObjectId,
        *,
        source: Path | None = None,
        size: int = 0,
        count: Counter | None = None,
    ) -> Iterator[httpx.Response]:
        """One request and its redirects; credentials go to the remote's own host alone."""
        import httpx

        url = httpx.URL(f"{self.url}/{oid.key}")
        try:
            for _ in range(_MOST_REDIRECTS + 1):
                own = _same_origin(url, self._origin)
                content = _blocks(source, count) if source is not None else None
                headers = {"Content-Length": str(size)} if source is not None else {}
                request = self._client.build_request(method, url, content=content, headers=headers)
                response = self._client.send(request, stream=True, auth=self._auth if own else None)
                try:
                    target = response.headers.get("location")
                    if response.status_code not in _REDIRECTS or not target:
                        yield response
                        return
                    if source is not None and response.status_code not in (307, 308):
                        raise StoreError(
                            f"Remote '{self.name}' redirects an upload of {oid.key} ({response.status_code}).",
                            f"dvc remote modify {self.name} url <the address it redirects to>",
                        )
                    url = url.join(target)
                finally:
                    _finish(response)
            raise StoreError(f"Remote '{self.name}' redirects {oid.key} without end.", "Check the remote's url.")
        except httpx.TransportError as error:
            raise self._broken(error, oid) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.HTTPError) as error:
            raise StoreError(
                f"Remote '{self.name}' cannot be used: {type(error).__name__}.",
                "Check the remote's url in .dvc/config.",
            ) from None

    def _body(self, response: httpx.Response, oid: ObjectId) -> Iterator[bytes]:
        import httpx

        expected, size = _length(response), 0
        try:
            for block in response.iter_raw(_BLOCK):
                size += len(block)
                yield block
        except httpx.RemoteProtocolError:
            raise _CutShort(
                f"{self._path(response)} on remote '{self.name}' was cut short: {size} of "
                f"{expected if expected is not None else 'unknown'} bytes came.",
                "Run again; if it stays so, the server or a proxy truncates large answers.",
            ) from None
        if expected is not None and size != expected:
            raise _CutShort(
                f"{self._path(response)} on remote '{self.name}' was cut short: {size} of {expected} bytes came.",
                "Run again; if it stays so, the server or a proxy truncates large answers.",
            )

    def _refuse(self, response: httpx.Response, oid: ObjectId) -> None:
        status = response.status_code
        if 200 <= status < 300 and status != 206:
            return
        what = f"Remote '{self.name}' answered {status} {response.reason_phrase}".rstrip()
        what += f" for {self._path(response)}"
        if status in _DENIED:
            shown = "".join(c if c.isalnum() else "_" for c in self.name).upper()
            raise AccessDenied(
                f"{what}.",
                "The credentials are missing or wrong: "
                f"set MLBUTLER_REMOTE_{shown}_USER and MLBUTLER_REMOTE_{shown}_PASSWORD."
                if status == 401
                else "The credentials are known but not allowed to do this: ask for access to the remote.",
            )
        if status in _PASSING:
            raise Transient(
                f"{what}.",
                "The remote has a problem; run again later.",
                _retry_after(response.headers.get("retry-after")),
            )
        remedy = "Check the remote's url."
        if status in (404, 405, 501):
            remedy = f"The server may want another method: dvc remote modify {self.name} method PUT"
        raise StoreError(f"{what}.", remedy)

    def _broken(self, error: httpx.TransportError, oid: ObjectId) -> StoreError:
        import httpx

        # The exception's own text may hold addresses; its kind and cause say enough.
        kind = type(error).__name__
        if isinstance(error, httpx.TimeoutException):
            what = "did not answer in time"
        elif isinstance(error, httpx.ConnectError):
            what = f"cannot be reached ({error})" if "://" not in str(error) else "cannot be reached"
        else:
            what = f"broke the connection ({kind})"
        message = f"Remote '{self.name}' {what} for {self._origin.path.rstrip('/')}/{oid.key}."
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return StoreError(
                message,
                f"dvc remote modify {self.name} ssl_verify <path of the certificate authority's file>",
            )
        return Transient(message, f"Check the network and that {self._origin.host} is up, then run again.")

    def _path(self, response: httpx.Response) -> str:
        url = response.request.url
        return url.path if _same_origin(url, self._origin) else f"{url.host}{url.path}"

    def _came(self, response: httpx.Response, size: int) -> str:
        kind = response.headers.get("content-type", "no content type")[:80]
        return f"{self._path(response)} answered {response.status_code} with {kind!r}, {human_bytes(size)}"


class _CutShort(CorruptObject, Transient):
    """A body that ended early; may pass."""

    def __init__(self, message: str, remedy: str = "") -> None:
        Transient.__init__(self, message, remedy)


def _auth(
    name: str, user: str | None, password: str | None, config: Mapping[str, Any], environ: Mapping[str, str]
) -> httpx.Auth | Callable[[httpx.Request], httpx.Request] | None:
    import httpx

    kind = str(config.get("auth") or "").lower()
    if kind in ("basic", "digest"):
        user, password = config.get("user") or user, config.get("password") or password
        if not user or not password:
            raise _no_credentials(name, "a user and a password", ("USER", "PASSWORD"))
        return httpx.BasicAuth(user, password) if kind == "basic" else httpx.DigestAuth(user, password)
    if kind == "custom":
        header, secret = config.get("custom_auth_header"), config.get("password")
        if not header:
            raise SettingsError(
                f"Remote '{name}' has auth = custom but no custom_auth_header.",
                f"dvc remote modify {name} custom_auth_header <name of the header>",
            )
        if not secret:
            raise _no_credentials(name, f"a value for its header {header}", ("PASSWORD",))
        return lambda request: _with_header(request, str(header), str(secret))
    if user and password:
        return httpx.BasicAuth(user, password)
    # Not httpx's own search: a run without credentials has an environment without HOME, and must find none.
    file = environ.get("NETRC") or (f"{environ['HOME']}/.netrc" if environ.get("HOME") else None)
    if file is None:
        return None
    try:
        return httpx.NetRCAuth(file)
    except (OSError, SyntaxError):  # no such file, or not one: NetrcParseError is a SyntaxError
        return None


def _with_header(request: httpx.Request, header: str, secret: str) -> httpx.Request:
    request.headers[header] = secret
    return request


def _no_credentials(name: str, what: str, variables: Iterable[str]) -> AccessDenied:
    shown = "".join(c if c.isalnum() else "_" for c in name).upper()
    names = " and ".join(f"MLBUTLER_REMOTE_{shown}_{variable}" for variable in variables)
    return AccessDenied(f"Remote '{name}' needs {what}, and there is none.", f"Set {names}.")


def _verification(name: str, value: Any) -> ssl.SSLContext | bool:
    if value is None or isinstance(value, bool):
        return value is not False
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(str(value))
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"Remote '{name}': ssl_verify names a file that is no certificate authority: {value}",
            "Mend .dvc/config.",
        ) from error
    return context


def _seconds(value: Any) -> float:
    return float(value) if value else _DEFAULT_TIMEOUT


def _same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


def _blocks(source: Path, count: Counter | None) -> Iterator[bytes]:
    with source.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            yield block
            if count is not None:
                count(len(block))


def _length(response: httpx.Response) -> int | None:
    text = response.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def _finish(response: httpx.Response) -> None:
    """Read the short page that comes with an error, so that the connection can be used again; close."""
    import httpx

    length = _length(response)
    if response.status_code >= 300 and length is not None and length <= _SHORT:
        with suppress(httpx.HTTPError, httpx.StreamError):
            response.read()
    response.close()


def _is_page(response: httpx.Response) -> bool:
    return str(response.headers.get("content-type", "")).lower().startswith(("text/html", "application/xhtml"))


def _retry_after(text: str | None) -> float | None:
    """Seconds from a Retry-After header, which holds a number or a date."""
    if not text:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        return email.utils.parsedate_to_datetime(text).timestamp() - time.time()
    except ValueError:
        return None
