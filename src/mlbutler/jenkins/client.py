"""A client of a Jenkins controller: its version, its agents, its jobs, and its validator of Jenkinsfiles."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from mlbutler.errors import AccessDenied, OutsideError, UsageError
from mlbutler.http_answer import received
from mlbutler.variables import JENKINS_TOKEN, JENKINS_USER

_LARGEST = 512 << 20
"""Bytes of an answer: files of the controller come this way too."""


class JenkinsClient:
    """Talk to one controller over HTTP.

    Args:
        url: its address, with the path it is served under. user, token: an API token, or a password; without them
            access is anonymous. Redirects are not followed: they lead to a login page, or to another host.
    """

    def __init__(self, url: str, user: str = "", token: str = "", *, timeout: float = 30) -> None:
        address = httpx.URL(url)
        if address.scheme not in ("http", "https") or not address.host:
            raise UsageError(
                f"'{url}' is no address of a Jenkins controller.", "Give one such as https://jenkins.example.org/"
            )
        if address.userinfo:
            raise UsageError(
                "The address holds a user name or a password.", f"Set {JENKINS_USER} and {JENKINS_TOKEN} instead."
            )
        self.url = url if url.endswith("/") else f"{url}/"
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
        """Return its version, '' when it sends none; None while it does not answer or is still starting."""
        try:
            response = self._answer("GET", "login")
        except httpx.HTTPError:
            return None
        if response.status_code != 200:
            return None
        return str(response.headers.get("X-Jenkins", ""))

    def is_online(self, agent: str) -> bool:
        """Return whether the agent is connected.

        Raises:
            AccessDenied, OutsideError: see `_sent`.
        """
        answer = self._sent("GET", f"computer/{agent}/api/json", params={"tree": "offline"}, missing_is_none=True)
        return answer is not None and answer.json().get("offline") is False

    def jobs(self) -> dict[str, str]:
        """Return each job's name -> its colour such as ``blue`` or ``red_anime``; '' for a folder."""
        answer = self._sent("GET", "api/json", params={"tree": "jobs[name,color]"})
        assert answer is not None
        return {str(job["name"]): str(job.get("color") or "") for job in answer.json().get("jobs", ())}

    def script(self, text: str) -> str:
        """Run a script inside the controller, as only administrators may, and return what it prints."""
        answer = self._sent("POST", "scriptText", data={"script": text})
        assert answer is not None
        return answer.text

    def download(self, path: str) -> bytes:
        """Return the content of a file that the controller serves."""
        answer = self._sent("GET", path)
        assert answer is not None
        return answer.content

    def validate(self, jenkinsfile: str) -> list[str]:
        """Return what the controller's own validator finds wrong in a declarative Jenkinsfile.

        Raises:
            AccessDenied, OutsideError: see `_sent`; or the controller has no such validator.
        """
        path = "pipeline-model-converter/validateJenkinsfile"
        answer = self._sent("POST", path, data={"jenkinsfile": jenkinsfile}, missing_is_none=True)
        if answer is None:
            remedy = "Install the plugin 'Pipeline: Declarative' (pipeline-model-definition)."
            raise OutsideError(f"{self.url} has no validator of Jenkinsfiles.", remedy)
        try:
            data = answer.json()["data"]
            found = [_said(item) for item in data.get("errors", ())]
        except (ValueError, KeyError, TypeError) as error:
            remedy = "Check that the address is that of a Jenkins controller."
            raise OutsideError(f"{self.url} sent an unexpected response to the validation.", remedy) from error
        return found if data.get("result") != "success" else []

    def _sent(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        missing_is_none: bool = False,
    ) -> httpx.Response | None:
        """Send one request and return the response.

        Raises:
            AccessDenied: 401 or 403, or a redirect to the login page. OutsideError: any other failure.
        """
        headers = self._crumbs() if method == "POST" else {}
        try:
            response = self._answer(method, path, params=params, data=dict(data or {}) or None, headers=headers)
        except httpx.HTTPError as error:
            raise OutsideError(f"{self.url} does not answer: {error}.", "Check the address and the network.") from error
        if response.status_code == 404 and missing_is_none:
            return None
        to_login = response.is_redirect and "login" in response.headers.get("Location", "")
        if response.status_code in (401, 403) or to_login:
            raise AccessDenied(
                f"{self.url} refused {path} ({response.status_code}).",
                f"Set {JENKINS_USER} and {JENKINS_TOKEN} to a user and an API token of that user.",
            )
        if response.status_code != 200:
            raise OutsideError(f"{self.url} answered {response.status_code} to {path}.", "Try again, or see its log.")
        return response

    def _answer(self, method: str, path: str, **content: Any) -> httpx.Response:
        return received(self._http, self._http.build_request(method, path, **content), largest=_LARGEST)

    def _crumbs(self) -> dict[str, str]:
        """Return the crumb header that a password, unlike a token, needs; it belongs to this client's session."""
        if self._crumb is None:
            self._crumb = {}
            try:
                answer = self._answer("GET", "crumbIssuer/api/json")
                if answer.status_code == 200:
                    fields = answer.json()
                    self._crumb = {str(fields["crumbRequestField"]): str(fields["crumb"])}
            except (httpx.HTTPError, ValueError, KeyError):
                self._crumb = {}  # no issuer: the request itself will say what is wrong
        return self._crumb


def _said(item: Any) -> str:
    """Return one finding in words; the validator wraps a text, or a list of them, as ``error``."""
    text = item.get("error", item) if isinstance(item, dict) else item
    return "; ".join(map(str, text)) if isinstance(text, list) else str(text)
