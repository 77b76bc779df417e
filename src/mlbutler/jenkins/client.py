"""A client of a Jenkins controller: requests, its version, its agents, its jobs, its validator of Jenkinsfiles."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx

from mlbutler.errors import AccessDenied, OutsideError, UsageError
from mlbutler.http_answer import send_request
from mlbutler.parsing import Unreadable, parse_json, reading
from mlbutler.variables import JENKINS_TOKEN, JENKINS_USER

Found = TypeVar("Found")
_IN_HEADERS = re.compile(r"[\w.:-]{1,500}", re.ASCII)
_OK = frozenset((200,))
_BUSY = (502, 503, 504)
_PAUSES = (0.3, 1.0)
"""Seconds before a question is asked again of a controller that starts, or behind a proxy that restarts."""
_ASKED = 20
"""Jobs that are tried for one that the user may configure."""


class JenkinsClient:
    """Talk to one controller over HTTP.

    Args:
        url: its address, with the path it is served under, or that of a job on it. user, token: an API token, or a
            password; without them access is anonymous. Redirects are not followed: they lead to a login page, or to
            another host.
    """

    def __init__(self, url: str, user: str = "", token: str = "", *, timeout: float = 30) -> None:
        url, below, job = url.partition("/job/")
        address = httpx.URL(url)
        if address.scheme not in ("http", "https") or not address.host:
            raise UsageError(
                f"'{url}' is not the address of a Jenkins controller.", "Give one such as https://jenkins.example.org/"
            )
        if address.userinfo:
            raise UsageError(
                "The address holds a user name or a password.", f"Set {JENKINS_USER} and {JENKINS_TOKEN} instead."
            )
        self.url, self.user = url if url.endswith("/") else f"{url}/", user
        self._item = f"job/{job.rstrip('/')}" if below else ""
        self._http = httpx.Client(
            base_url=self.url,
            auth=(user, token) if token else None,
            timeout=timeout,
            headers={"User-Agent": "mlbutler"},
        )
        self._crumb: dict[str, str] | None = None

    @classmethod
    def from_environment(cls, url: str, environ: Mapping[str, str]) -> Self:
        """Return a client whose user and token come from the environment."""
        return cls(url, environ.get(JENKINS_USER, ""), environ.get(JENKINS_TOKEN, ""))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    def answers(self) -> str | None:
        """Return its version, '' when it sends none; None while it does not answer or is still starting.

        Raises:
            OutsideError: it has failed to start; it goes on running and shows why.
        """
        try:
            response = self._answer("GET", "login")
        except httpx.HTTPError:
            return None
        if response.status_code == 500 and self._answer("GET", "api/json").status_code == 500:
            raise OutsideError(f"The controller at {self.url} failed to initialize.", "See its log.")
        if response.status_code != 200:
            return None
        return str(response.headers.get("X-Jenkins", ""))

    def is_online(self, agent: str) -> bool:
        """Return whether the agent is connected.

        Raises:
            AccessDenied, OutsideError: see `send`.
        """
        answer = self.send("GET", f"computer/{agent}/api/json", params={"tree": "offline"}, missing_is_none=True)
        return answer is not None and self.read(answer, lambda found: found["offline"] is False)

    def jobs(self) -> dict[str, str]:
        """Return each job's name -> its colour such as ``blue`` or ``red_anime``; '' for a folder."""
        answer = self.send("GET", "api/json", params={"tree": "jobs[name,color]"})
        assert answer is not None
        return self.read(
            answer, lambda found: {str(job["name"]): str(job.get("color") or "") for job in found.get("jobs", ())}
        )

    def script(self, text: str) -> str:
        """Run a script inside the controller, as only administrators may, and return what it prints."""
        answer = self.send("POST", "scriptText", data={"script": text})
        assert answer is not None
        return answer.text

    def validate(self, jenkinsfile: str) -> list[str]:
        """Return what the controller's own validator finds wrong in a declarative Jenkinsfile.

        Raises:
            AccessDenied, OutsideError: see `send`; or the controller has no such validator.
        """
        path = "pipeline-model-converter/validateJenkinsfile"
        answer = self.send("POST", path, data={"jenkinsfile": jenkinsfile}, missing_is_none=True)
        if answer is None:
            remedy = "Install the plugin 'Pipeline: Declarative' (pipeline-model-definition)."
            raise OutsideError(f"{self.url} has no validator of Jenkinsfiles.", remedy)
        return self.read(answer, lambda found: _invalid(found["data"]))

    def compile(self, jenkinsfile: str) -> list[str]:
        """Return what the controller's compiler finds wrong in any Jenkinsfile: scripted, or a call of a library.

        It is asked below a job that this user may configure. Below any other the controller calls everything right, so
        that it is shown what cannot be first.

        Raises:
            AccessDenied, OutsideError: see `send`; or there is no such job.
        """
        for item in (
            [self._item] if self._item else [f"job/{quote(name, safe='')}" for name in list(self.jobs())[:_ASKED]]
        ):
            if self._compile_below(item, "{"):
                return self._compile_below(item, jenkinsfile)
        raise AccessDenied(
            f"{self.url} compiles nothing for this user: there is no job that it may configure.",
            f"Set {JENKINS_USER} and {JENKINS_TOKEN}, and name a job that the user may configure: --url "
            f"{self.url}job/NAME/",
        )

    def _compile_below(self, item: str, jenkinsfile: str) -> list[str]:
        path = f"{item}/descriptorByName/org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition/checkScriptCompile"
        answer = self.send("POST", path, data={"value": jenkinsfile}, missing_is_none=True)
        if answer is None:
            remedy = "Install the plugin 'Pipeline: Groovy' (workflow-cps)."
            raise OutsideError(f"{self.url} compiles no Jenkinsfiles below {item}.", remedy)
        return self.read(answer, _compile_errors)

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        expected: Collection[int] = _OK,
        missing_is_none: bool = False,
    ) -> httpx.Response | None:
        """Send one request and return the response.

        What only asks is asked again where the controller is starting, or does not answer; nothing else is sent twice.

        Args:
            data: sent in the body: addresses are logged. expected: status codes that are no failure.

        Raises:
            AccessDenied: 401 or 403, or a redirect to the login page. OutsideError: any other failure.
        """
        headers = self._crumbs() if method == "POST" else {}
        content = {"params": params, "data": dict(data or {}) or None, "headers": headers}
        response = self._send_with_retries(method, path, content)
        if response.status_code == 404 and missing_is_none:
            return None
        return self.check_response(response, path, expected)

    def read(self, answer: httpx.Response, made: Callable[[Any], Found]) -> Found:
        """Return what `made` makes of a response's JSON; any error of `made` means an unexpected answer.

        Raises:
            OutsideError: it is no JSON, or not what was asked for.
        """
        try:
            with reading("JSON"):
                return made(parse_json(answer.content))
        except Unreadable as error:
            raise OutsideError(
                f"{self.url} sent something else than was asked for ({answer.request.url.path}).",
                "Check that the address is that of a Jenkins controller.",
            ) from error

    def _send_with_retries(self, method: str, path: str, content: Mapping[str, Any]) -> httpx.Response:
        try:
            for pause in _PAUSES if method == "GET" else ():
                with contextlib.suppress(httpx.NetworkError, httpx.RemoteProtocolError):
                    response = self._answer(method, path, **content)
                    if response.status_code not in _BUSY:
                        return response
                time.sleep(pause)
            return self._answer(method, path, **content)
        except httpx.HTTPError as error:
            raise self.unreachable_error(error) from error

    def unreachable_error(self, error: httpx.HTTPError) -> OutsideError:
        """Return the error for a controller that does not answer."""
        return OutsideError(f"{self.url} does not answer: {error}.", "Check the address and the network.")

    def check_response(self, response: httpx.Response, path: str, expected: Collection[int] = _OK) -> httpx.Response:
        """Return the response.

        Raises:
            AccessDenied, OutsideError: see `send`.
        """
        if response.status_code in (401, 403) or (response.is_redirect and self._is_login(response)):
            raise AccessDenied(
                f"{self.url} refused {path} ({response.status_code}).",
                f"Set {JENKINS_USER} and {JENKINS_TOKEN} to a user and an API token of that user.",
            )
        if response.status_code not in expected:
            raise OutsideError(f"{self.url} answered {response.status_code} to {path}.", "Try again, or see its log.")
        return response

    def _is_login(self, redirect: httpx.Response) -> bool:
        """Return whether a redirect leads to the login page: a job may be called so, too."""
        try:
            path = httpx.URL(redirect.headers.get("Location", "")).path
        except httpx.InvalidURL:
            return False
        below = path.removeprefix(httpx.URL(self.url).path.rstrip("/")).lstrip("/")
        return below.partition("/")[0] in ("login", "securityRealm")

    @contextmanager
    def stream(self, path: str, params: Mapping[str, str]) -> Iterator[httpx.Response]:
        """Yield the response to a question whose body is read piece by piece, however large it is.

        Raises:
            AccessDenied, OutsideError: see `send`. httpx.HTTPError: the connection broke.
        """
        request = self._http.build_request("GET", path, params=params)
        response = self._http.send(request, stream=True, follow_redirects=False)
        try:
            yield self.check_response(response, path)
        finally:
            response.close()

    def _answer(self, method: str, path: str, **content: Any) -> httpx.Response:
        return send_request(self._http, self._http.build_request(method, path, **content))

    def _crumbs(self) -> dict[str, str]:
        """Return the crumb header that a password, unlike a token, needs; it belongs to this client's session."""
        if self._crumb is None:
            self._crumb = {}
            # Without an issuer the request itself will say what is wrong.
            with contextlib.suppress(httpx.HTTPError, OutsideError):
                answer = self._answer("GET", "crumbIssuer/api/json")
                if answer.status_code == 200:
                    self._crumb = self.read(answer, _crumb)
        return self._crumb


def _crumb(found: Any) -> dict[str, str]:
    """Return the header; one that cannot be sent is refused."""
    name, value = _IN_HEADERS.fullmatch(found["crumbRequestField"]), _IN_HEADERS.fullmatch(found["crumb"])
    if name is None or value is None:
        raise ValueError(found)
    return {name[0]: value[0]}


def _invalid(data: Any) -> list[str]:
    found = [_format_finding(item) for item in data.get("errors", ())]
    return found if data.get("result") != "success" else []


def _compile_errors(found: Any) -> list[str]:
    return [f"{fault['message']} @ line {fault['line']}" for fault in found] if isinstance(found, list) else []


def _format_finding(item: Any) -> str:
    """Return one finding in words; the validator wraps a text, or a list of them, as ``error``."""
    text = item.get("error", item) if isinstance(item, dict) else item
    return "; ".join(map(str, text)) if isinstance(text, list) else str(text)
