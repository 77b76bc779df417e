"""One job on a controller: starting builds of it, finding them, following and ending them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from mlbutler.errors import AccessDenied, OutsideError, UsageError
from mlbutler.jenkins.client import JenkinsClient
from mlbutler.jenkins.queue import Waiting, parameters

_FIELDS = "number,building,result,timestamp,actions[parameters[name,value]]"
_NUMBER = re.compile(r"queue/item/(\d{1,18})")
ENDINGS = ("stop", "term", "kill")
"""How a build is ended, each harder than the one before: only the next helps against code that ignores one."""


@dataclass(frozen=True)
class JenkinsBuild:
    """One build. `result` such as ``SUCCESS``, '' while it runs. `started`: seconds since the epoch."""

    number: int
    building: bool
    result: str
    started: float
    parameters: Mapping[str, str]


class Job:
    """One parameterised job.

    Args:
        name: its full name, folders before it: ``folder/train``.
    """

    def __init__(self, client: JenkinsClient, name: str) -> None:
        self.client, self.name = client, name.strip("/")
        # What is a slash in a branch's name is %2F in the name of its job, and that is quoted once more.
        self._path = "/".join(f"job/{quote(part, safe='')}" for part in self.name.split("/"))

    @property
    def url(self) -> str:
        """Return the address of its page."""
        return f"{self.client.url}{self._path}/"

    def build_url(self, number: int) -> str:
        """Return the address of a build's page."""
        return f"{self.url}{number}/"

    def number(self, url: str) -> int | None:
        """Return the number of the build at this address; None where it is none of this job.

        The address is what the controller calls it, which need not be how it is reached from here.
        """
        found = re.search(rf"/{re.escape(unquote(self._path))}/(\d{{1,18}})/$", _path(url))
        return int(found[1]) if found else None

    def parameter_names(self) -> frozenset[str]:
        """Return the names of its parameters: the controller drops all others without a word.

        Raises:
            UsageError: there is no such job, or this user may not see it. AccessDenied, OutsideError.
        """
        tree = "property[parameterDefinitions[name]],actions[parameterDefinitions[name]]"
        answer = self.client.send("GET", f"{self._path}/api/json", params={"tree": tree}, missing_is_none=True)
        if answer is None:
            raise UsageError(
                f"{self.client.url} has no job '{self.name}', or this user may not see it.",
                "Name the job in train.job, folders before it, and check the user's permissions.",
            )
        return self.client.read(answer, _parameter_names)

    def start(self, values: Mapping[str, str]) -> int | None:
        """Ask for a build; return its number in the queue, where the controller says it.

        Where an identical build is waiting already, it is the number of that one.

        Raises:
            AccessDenied: the user may not build. UsageError: the job takes no builds. OutsideError.
        """
        answer = self.client.send(
            "POST", f"{self._path}/buildWithParameters", data=values, expected=(200, 201, 302, 303, 400, 404, 409, 500)
        )
        assert answer is not None
        if answer.status_code in (400, 404, 409, 500):
            raise self._refusal(answer.status_code, values)
        found = _NUMBER.search(answer.headers.get("Location", ""))
        return int(found[1]) if found else None

    def _refusal(self, code: int, values: Mapping[str, str]) -> UsageError | OutsideError:
        if code == 409:
            return UsageError(f"The job '{self.name}' is disabled.", f"Enable it: {self.url}")
        if code == 404:
            return AccessDenied(
                f"This user may not start builds of '{self.name}'.", "Ask for the permission Job/Build."
            )
        return OutsideError(
            f"{self.client.url} answered {code} to a build of '{self.name}' with {', '.join(values)}.",
            f"A job without these parameters does so, and one whose choice does not have a value: see {self.url}",
        )

    def builds(self, most: int = 100) -> tuple[JenkinsBuild, ...]:
        """Return its latest builds, the newest first."""
        params = {"tree": f"builds[{_FIELDS}]{{0,{most}}}"}
        answer = self.client.send("GET", f"{self._path}/api/json", params=params)
        assert answer is not None
        return self.client.read(answer, lambda found: tuple(map(_build, found.get("builds", ()))))

    def build(self, number: int) -> JenkinsBuild | None:
        """Return one build; None where it was deleted."""
        path = f"{self._path}/{number}/api/json"
        answer = self.client.send("GET", path, params={"tree": _FIELDS}, missing_is_none=True)
        return self.client.read(answer, _build) if answer is not None else None

    def is_mine(self, waiting: Waiting) -> bool:
        """Return whether what waits is a build of this job."""
        return _path(waiting.task).endswith(f"/{unquote(self._path)}/")

    def end(self, number: int, how: str) -> bool:
        """End a build in one of `ENDINGS`; return False where there is no such build."""
        path = f"{self._path}/{number}/{how}"
        answer = self.client.send("POST", path, expected=(200, 201, 204, 302, 303), missing_is_none=True)
        return answer is not None

    def proceed(self, number: int, question: str, values: Mapping[str, str]) -> bool:
        """Answer a question of the step ``input`` in a build; return False where it does not ask it.

        Args:
            question: the step's id. values: of the parameters that it asks for.
        """
        path = f"{self._path}/{number}/input/{quote(question, safe='')}"
        given = [{"name": name, "value": value} for name, value in values.items()]
        form = {"proceed": "Proceed", "json": json.dumps({"parameter": given})}
        answer = self.client.send(
            "POST", f"{path}/submit" if values else f"{path}/proceedEmpty", data=form if values else None,
            expected=(200, 201, 204, 302, 303), missing_is_none=True,
        )  # fmt: skip
        return answer is not None

    def log_path(self, number: int) -> str:
        """Return the path of a build's growing log."""
        return f"{self._path}/{number}/logText/progressiveText"


def _path(url: str) -> str:
    """Return the path of an address, which may be one below the controller's own, with slashes around it."""
    return f"/{unquote(urlsplit(url).path).strip('/')}/"


def _build(found: Any) -> JenkinsBuild:
    return JenkinsBuild(
        int(found["number"]), bool(found["building"]), str(found.get("result") or ""),
        float(found["timestamp"]) / 1000, dict(parameters(found.get("actions", ()))),
    )  # fmt: skip


def _parameter_names(found: Any) -> frozenset[str]:
    holders = [*found.get("property", ()), *found.get("actions", ())]
    return frozenset(str(one["name"]) for held in holders if isinstance(held, dict)
                     for one in held.get("parameterDefinitions", ()))  # fmt: skip
