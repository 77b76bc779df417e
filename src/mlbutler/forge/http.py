"""Talk to a forge's API: retry transient failures, wait where asked to, send the token to its own host alone.

The forges' client libraries repeat writes after a broken connection, or follow a redirect with the token; here
a creation is never sent twice, and a token leaves for no other host than the one it was given for.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from functools import cache
from time import sleep
from typing import TYPE_CHECKING, Any

from mlbutler.errors import ForgeError
from mlbutler.forge.answers import complaint
from mlbutler.frozen import frozen
from mlbutler.http_answer import send_request
from mlbutler.parsing import Unreadable, parse_json
from mlbutler.retry_after import retry_after

if TYPE_CHECKING:
    import ssl

    import httpx

_REDIRECTS = (301, 302, 303, 307, 308)
_PASSING = (408, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524)
_MOST_REDIRECTS = 5
MOST_PAGES = 2000
_UNSAID_LIMIT = 60.0
"""Seconds to wait after GitHub's secondary limit where the answer names none, as its documentation asks."""
_LONG = re.compile(r"\btoo (?:long|large|big)\b|\bmaximum\b|\bat most\b", re.IGNORECASE)
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
_AUTHORITIES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class RequestRefused(ForgeError):
    """The forge answered with an error: `status` is HTTP's, `said` the answer's own words."""

    def __init__(self, message: str, remedy: str, status: int, said: str = "") -> None:
        super().__init__(message, remedy)
        self.status = status
        self.said = said

    @property
    def too_long(self) -> bool:
        """Return whether the request was longer than the forge, or a proxy before it, takes."""
        return self.status == 413 or (self.status in (400, 422) and bool(_LONG.search(self.said)))


class OutcomeUnknown(ForgeError):
    """The connection broke, or the forge failed, during a write: it may have been done."""


class UnexpectedResponse(ForgeError):
    """The answer is no JSON of the kind that was asked for, such as a page for people."""


@frozen
class ApiRetryPolicy:
    """How often and how long to retry, in seconds.

    Attributes:
        attempts: requests in all. pause: before the second attempt; doubled each time, with jitter.
        longest: what the forge may ask us to wait at once; beyond it the user is asked to come back.
        connect, read: time-outs.
    """

    attempts: int = 5
    pause: float = 1.0
    longest: float = 120.0
    connect: float = 15.0
    read: float = 30.0


@frozen
class ApiOptions:
    """How an API is talked to.

    Attributes:
        environ: proxies and certificate authorities: HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE, REQUESTS_CA_BUNDLE.
        say: called with a line about every long wait. discreet: are the paths secrets, that no message may name?
    """

    environ: Mapping[str, str]
    policy: ApiRetryPolicy = field(default_factory=ApiRetryPolicy)
    say: Callable[[str], None] | None = None
    discreet: bool = False


class Api:
    """One forge's API below one address.

    Args:
        name: the forge, as people call it. base: the API's address, without a final slash.
        headers: sent with each request. secret: those sent to the API's own host alone.
        remedy: what to do when the token is refused.
    """

    def __init__(
        self,
        name: str,
        base: str,
        *,
        headers: Mapping[str, str],
        secret: Mapping[str, str],
        remedy: str,
        options: ApiOptions,
    ) -> None:
        import httpx

        self.name = name
        self.base = base.rstrip("/")
        self._secret = dict(secret)
        self._remedy = remedy
        self._policy = options.policy
        self._discreet = options.discreet
        self._say = options.say or (lambda text: None)
        try:
            self._origin = httpx.URL(self.base)
        except httpx.InvalidURL as error:
            raise ForgeError(
                f"'{base}' is not an address of {name}.", "Set forge.url, such as https://host."
            ) from error
        authorities = _authorities(options.environ)
        try:
            self._http = httpx.Client(
                headers={"User-Agent": "mlbutler", **headers},
                timeout=httpx.Timeout(self._policy.read, connect=self._policy.connect),
                verify=authorities,
                follow_redirects=False,
            )
        except (ValueError, httpx.InvalidURL) as error:  # its words may hold the proxy's password
            raise ForgeError(
                f"The proxy that the environment names for {name} is not an address.", f"Fix {' or '.join(_PROXIES)}."
            ) from error

    # ---------------------------------------------------------------------------------------- reading

    def get(self, path: str, **params: str | int) -> Any:
        """Return the JSON that a GET answers with.

        Raises:
            RequestRefused, ForgeError: see `send`.
        """
        return self.json(self.send("GET", path, params=params))

    def pages(self, path: str, *, size: int = 100, size_name: str = "per_page", **params: str | int) -> Iterator[Any]:
        """Return every item of a list, page by page.

        Pages are counted and not followed by the forge's own links, which name the wrong host behind some proxies.
        """
        for page in range(1, MOST_PAGES):
            answer = self.send("GET", path, params={**params, size_name: size, "page": page})
            items = self.json(answer)
            if not isinstance(items, list):
                raise self._odd(answer)
            yield from items
            if not _goes_on(answer, len(items), size):
                return

    def whole(self, path: str) -> Iterator[Any]:
        """Return every item of a list that comes in one answer; of each page where a server pages it after all."""
        for page in range(1, MOST_PAGES):
            answer = self.send("GET", path, params={"page": page} if page > 1 else None)
            items = self.json(answer)
            if not isinstance(items, list | None):
                raise self._odd(answer)
            yield from items or ()
            if "next" not in answer.links:
                return

    def json(self, answer: httpx.Response) -> Any:
        """Return the answer's JSON.

        Raises:
            UnexpectedResponse: it is something else, such as a login page.
        """
        try:
            return parse_json(answer.content)
        except Unreadable:
            raise self._odd(answer) from None

    def _odd(self, answer: httpx.Response) -> UnexpectedResponse:
        kind = answer.headers.get("content-type", "no type")[:60]
        return UnexpectedResponse(
            f"{self.name} answered {answer.request.url.path} with something else than was asked for ({kind}).",
            f"Is {self.base} the address of its API? Set forge.url.",
        )

    # ---------------------------------------------------------------------------------------- sending

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: Any = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
        again: bool | None = None,
        fresh: bool = False,
    ) -> httpx.Response:
        """Return the answer to one request; transient failures are retried.

        Args:
            path: below the API's address, or a whole address. files: field -> (name, content, media type).
            again: does sending it twice do no more than sending it once? All but POST, if None.
            fresh: does it follow from what was read just before? After a wait it may be wrong: it is not sent again.

        Raises:
            RequestRefused: the forge answered with an error.
            OutcomeUnknown: a creation, or what is `fresh`, may have been done.
            ForgeError: the forge cannot be reached.
        """
        import httpx

        repeatable = method != "POST" if again is None else again
        url = path if "://" in path else f"{self.base}{path}"
        what = f"{method} {'' if self._discreet else path.partition('?')[0]}".rstrip()
        for attempt in range(1, self._policy.attempts + 1):
            last = attempt == self._policy.attempts
            try:
                answer = self._exchange(method, httpx.URL(url, params=params) if params else url, json, files)
            except httpx.HTTPError as error:
                problem = self._retryable_error(error, what, fresh=fresh, repeatable=repeatable)
                if last:
                    raise problem from None
                self._pause(attempt, None, problem.message)
                continue
            if answer.is_success:
                return answer
            wait = _requested_wait(answer)
            if wait is None and answer.status_code not in _PASSING:
                raise self._refusal(answer, what)
            refused = self._refusal(answer, what, wait)
            if wait is None and (fresh or not repeatable):
                raise OutcomeUnknown(refused.message, refused.remedy)
            if last or (wait or 0.0) > self._policy.longest:
                raise refused
            self._pause(attempt, wait, f"{self.name} answered {answer.status_code}")
            if fresh:
                raise OutcomeUnknown(refused.message, refused.remedy)
        raise AssertionError("unreachable")

    def _retryable_error(self, error: httpx.HTTPError, what: str, *, fresh: bool, repeatable: bool) -> ForgeError:
        """Return what to raise when the last attempt has failed; raise at once what another attempt cannot help."""
        import httpx

        if isinstance(error, httpx.DecodingError):
            raise UnexpectedResponse(
                f"{self.name}: {what}: {error}.", f"Is {self.base} the address of its API?"
            ) from None
        if not isinstance(error, httpx.TransportError):
            raise ForgeError(f"{self.name}: {what}: {type(error).__name__}.", "Check forge.url.") from None
        problem = self._connection_error(error, what)
        if isinstance(problem, RequestRefused):
            raise problem from None
        reached = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError)
        if fresh or (reached and not repeatable):
            raise OutcomeUnknown(problem.message, problem.remedy) from None
        return problem

    def _exchange(
        self,
        method: str,
        url: httpx.URL | str,
        json: Any,
        files: Mapping[str, tuple[str, bytes, str]] | None,
    ) -> httpx.Response:
        """Send one request and follow its redirects; a write is repeated at the new address as it is."""
        import httpx
        from socksio import ProtocolError

        try:
            at = httpx.URL(url)
        except httpx.InvalidURL as error:  # a further page's, as the forge names it
            raise ForgeError(f"{self.name} names an address that is none.", "Check forge.url.") from error
        for _ in range(_MOST_REDIRECTS + 1):
            own = _same_origin(at, self._origin)
            if not own and method != "GET":
                raise RequestRefused(
                    f"{self.name} sends a {method} on to {at.scheme}://{at.host}: another host than the token is for.",
                    "Set forge.url to the forge's true address.",
                    status=0,
                )
            request = self._http.build_request(
                method, at, json=json, files=dict(files) if files else None, headers=self._secret if own else None
            )
            try:
                answer = send_request(self._http, request)
            except ProtocolError as error:  # httpx lets it through
                raise httpx.ProxyError("no SOCKS proxy") from error
            target = answer.headers.get("location")
            if answer.status_code not in _REDIRECTS or not target:
                return answer
            try:
                at = at.join(target)
            except httpx.InvalidURL as error:
                raise self._odd(answer) from error
        raise ForgeError(f"{self.name} redirects {self._origin.path} without end.", "Check forge.url.")

    def _pause(self, attempt: int, asked: float | None, why: str) -> None:
        seconds = self._policy.pause * 2 ** (attempt - 1) * random.uniform(0.75, 1.25) if asked is None else asked
        if seconds >= 5:
            self._say(f"{why.rstrip('.')}: trying again in {seconds:.0f} s")
        sleep(seconds)

    # ---------------------------------------------------------------------------------------- errors

    def _connection_error(self, error: httpx.TransportError, what: str) -> ForgeError:
        import httpx

        text = str(error)
        if "CERTIFICATE_VERIFY_FAILED" in text:
            return RequestRefused(
                f"{self.name} at {self._origin.host} has a certificate that no trusted authority signed.",
                "Set SSL_CERT_FILE to a file with its certificate authority.",
                status=0,
            )
        if isinstance(error, httpx.UnsupportedProtocol):
            return RequestRefused(
                f"'{self.base}' is not an address of {self.name}.", "Set forge.url, such as https://host.", 0
            )
        if isinstance(error, httpx.TimeoutException):
            how = "did not answer in time"
        elif isinstance(error, httpx.ConnectError | httpx.ProxyError):
            how = "cannot be reached"
        else:
            how = f"broke the connection ({type(error).__name__})"
        proxies = [name for name in _PROXIES[:-1] if os.environ.get(name) or os.environ.get(name.lower())]
        return ForgeError(
            f"{self.name} at {self._origin.host} {how} ({what}).",
            f"Check the network{''.join(f' and {name}' for name in proxies)}, then run `mlbutler publish`.",
        )

    def _refusal(self, answer: httpx.Response, what: str, wait: float | None = None) -> RequestRefused:
        status, said = answer.status_code, _error_text(answer)
        message = f"{self.name} answered {status} to {what}" + (f": {said}" if said else "")
        if wait is not None:
            remedy = f"The limit on requests is used up: run `mlbutler publish` again in {wait:.0f} s."
        elif status in (401, 403):
            remedy = self._remedy
        elif status == 404:
            remedy = f"There is no such thing, or the token may not see it. {self._remedy}"
        elif status >= 500:
            remedy = "The forge has a problem: run `mlbutler publish` again later."
        else:
            remedy = "`mlbutler doctor --forge` says what this token may do."
        return RequestRefused(message.rstrip(".") + ".", remedy, status, said)


def _authorities(environ: Mapping[str, str]) -> ssl.SSLContext:
    """Return whose certificates to believe: SSL_CERT_FILE and SSL_CERT_DIR, or what other tools' users have set."""
    own = environ.get("SSL_CERT_FILE"), environ.get("SSL_CERT_DIR")
    name = next((name for name in _AUTHORITIES if environ.get(name)), "") if not any(own) else ""
    try:
        return _context(*own, environ.get(name))
    except OSError as error:  # ssl.SSLError is one
        name = name or "SSL_CERT_FILE"
        raise ForgeError(
            f"{name} does not name a file of certificate authorities: {environ.get(name)}", f"Fix {name}."
        ) from error


@cache
def _context(own_file: str | None, own_folder: str | None, other: str | None) -> ssl.SSLContext:
    import ssl

    import certifi

    if not (own_file or own_folder):
        own_file = other or certifi.where()
    return ssl.create_default_context(cafile=own_file, capath=own_folder)


def _same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


def _goes_on(answer: httpx.Response, items: int, size: int) -> bool:
    """Return whether there is a further page.

    A server may give fewer items than asked for, so the headers come first.
    """
    if "next" in answer.links:
        return True
    following = answer.headers.get("x-next-page")
    if following is not None or "link" in answer.headers:
        return bool(following)
    return items >= size


def _requested_wait(answer: httpx.Response) -> float | None:
    """Return the seconds that a rate limit asks us to wait, None when the answer is not about one.

    GitHub says 403 or 429, with ``Retry-After``, or with no requests left until ``X-RateLimit-Reset`` (seconds since
    1970); others say 429.
    """
    status = answer.status_code
    if status not in (403, 429, 503):
        return None
    asked = retry_after(answer.headers.get("retry-after"))
    if asked is not None:
        return max(asked, 0.0)
    if status == 503:
        return None
    reset = answer.headers.get("x-ratelimit-reset") or answer.headers.get("ratelimit-reset") or ""
    remaining = answer.headers.get("x-ratelimit-remaining") or answer.headers.get("ratelimit-remaining")
    if reset.isdecimal() and (remaining == "0" or status == 429):
        return max(float(reset) - time.time(), 0.0) + 1.0
    if status == 429 or "secondary rate limit" in answer.text.lower():
        return _UNSAID_LIMIT
    return None


def _error_text(answer: httpx.Response) -> str:
    """Return the forge's own words in an error, on one line."""
    try:
        return complaint(parse_json(answer.content))
    except Unreadable:
        return ""
