"""Asking a Jenkins controller: is it up, is its agent there, is this Jenkinsfile right."""

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


class Client:
    """One controller over HTTP.

    Args:
        url: its address, with the path it is served under. user, token: an API token, or a password; without, as
            anybody. Redirects are not followed: they lead to a login page, or carry the token to another host.
    """

    def __init__(self, url: str, user: str = "", token: str = "", *, timeout: float = 30) -> None:
        address = httpx.URL(url)
        if address.scheme not in ("http", "https") or not address.host:
            raise UsageError(f"'{url}' is no address of a Jenkins controller.", "Such as https://jenkins.example.org/")
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
        """One whose user and token come from the environment."""
        return cls(url, environ.get(JENKINS_USER, ""), environ.get(JENKINS_TOKEN, ""))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    def answers(self) -> str | None:
        """Its version, '' when it does not say; None while it does not answer or is still starting."""
        try:
            response = self._answer("GET", "login")
        except httpx.HTTPError:
            return None
        if response.status_code != 200:
            return None
        return str(response.headers.get("X-Jenkins", ""))

    def is_online(self, agent: str) -> bool:
        """Is the agent connected?

        Raises:
            AccessDenied, OutsideError: see `_sent`.
        """
        answer = self._sent("GET", f"computer/{agent}/api/json", params={"tree": "offline"}, missing_is_none=True)
        return answer is not None and answer.json().get("offline") is False

    def jobs(self) -> dict[str, str]:
        """Name of each job -> its colour in Jenkins' words, such as ``blue`` or ``red_anime``; '' for a folder."""
        answer = self._sent("GET", "api/json", params={"tree": "jobs[name,color]"})
        assert answer is not None
        return {str(job["name"]): str(job.get("color") or "") for job in answer.json().get("jobs", ())}

    def script(self, text: str) -> str:
        """What a script prints that runs inside the controller; for administrators."""
        answer = self._sent("POST", "scriptText", data={"script": text})
        assert answer is not None
        return answer.text

    def download(self, path: str) -> bytes:
        """A file that the controller serves."""
        answer = self._sent("GET", path)
        assert answer is not None
        return answer.content

    def validate(self, jenkinsfile: str) -> list[str]:
        """What the controller's own validator finds wrong in a declarative Jenkinsfile.

        Raises:
            AccessDenied, OutsideError: see `_sent`; or the controller has no such validator.
        """
        path = "pipeline-model-converter/validateJenkinsfile"
        answer = self._sent("POST", path, data={"jenkinsfile": jenkinsfile}, missing_is_none=True)
        if answer is None:
            remedy = "Install the plugin 'Pipeline: Declarative' (pipeline-model-definition)."
            raise OutsideError(f"{self.url} has no validator.", remedy)
        try:
            data = answer.json()["data"]
            found = [_said(item) for item in data.get("errors", ())]
        except (ValueError, KeyError, TypeError) as error:
            raise OutsideError(f"{self.url} answered with something else than a verdict.", "Is it Jenkins?") from error
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
        """The answer to one request.

        Raises:
            AccessDenied: 401 or 403, or a redirect to the login page. OutsideError: anything else but success.
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
                f"Set {JENKINS_USER} and {JENKINS_TOKEN} to a user and an API token of his.",
            )
        if response.status_code != 200:
            raise OutsideError(f"{self.url} answered {response.status_code} to {path}.", "Try again, or see its log.")
        return response

    def _answer(self, method: str, path: str, **content: Any) -> httpx.Response:
        return received(self._http, self._http.build_request(method, path, **content), largest=_LARGEST)

    def _crumbs(self) -> dict[str, str]:
        """A password, unlike a token, needs a crumb; it belongs to the session whose cookie came with it."""
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
    """One finding in words; the validator wraps a text, or a list of them, as ``error``."""
    text = item.get("error", item) if isinstance(item, dict) else item
    return "; ".join(map(str, text)) if isinstance(text, list) else str(text)
