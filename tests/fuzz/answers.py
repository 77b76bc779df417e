"""Answers of forges and Jenkins controllers that are something else than was asked for."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import httpx

from mlbutler.errors import MlbutlerError
from mlbutler.forge import http as forge_http
from mlbutler.forge.detect import ForgeLocation
from mlbutler.forge.http import ApiRetryPolicy
from mlbutler.forge.interface import CommitStatus, NotOffered, PictureFile
from mlbutler.forge.opening import Opening
from mlbutler.forge.registry import open_forge
from mlbutler.jenkins import client as jenkins_client
from mlbutler.jenkins import queue
from mlbutler.jenkins.builds import Job
from mlbutler.jenkins.client import JenkinsClient
from mlbutler.jenkins.console_text import ConsoleText
from mlbutler.live_lines import clean
from mlbutler.report.marker import marker
from mlbutler.variables import FORGE_TOKEN
from tests.fuzz.mutations import NUMBERS, TEXTS
from tests.fuzz.oracles import Fault, require_harmless, require_remedy
from tests.report.conftest import sample

CHANGE = sample().change
_PLACES = (
    ForgeLocation("github", "https://git.example.org", "team/digits"),
    ForgeLocation("gitlab", "https://git.example.org", "team/digits"),
    ForgeLocation("gitea", "https://git.example.org", "team/digits"),
    ForgeLocation("gogs", "https://git.example.org", "team/digits"),
    ForgeLocation("dagshub", "https://dagshub.com", "team/digits"),
    ForgeLocation("bitbucket", "https://bitbucket.org", "team/digits"),
    ForgeLocation("bitbucket", "https://git.example.org", "projects/T/repos/digits"),
)
_USER = {"id": 7, "login": "bot", "username": "bot", "type": "Bot", "slug": "bot", "uuid": "{7}", "account_id": "7"}
_COMMENT = {
    "id": 5, "iid": 5, "version": 1, "body": f"text\n{marker('mlbutler', CHANGE.head)}", "user": _USER, "author": _USER,
    "note": "text", "system": False, "html_url": "https://git.example.org/c/5", "text": "text",
    "content": {"raw": f"text\n\n{marker('mlbutler', CHANGE.head, html=False)}"}, "links": {
        "html": {"href": "https://x"}},
}  # fmt: skip
_PULL = {
    "number": 17, "iid": 17, "id": 17, "state": "open", "title": "A title", "html_url": "https://git.example.org/17",
    "head": {"sha": CHANGE.head, "ref": "work", "repo": {"full_name": "team/digits"}}, "base": {"ref": "main"},
    "sha": CHANGE.head, "source_branch": "work", "target_branch": "main", "web_url": "https://git.example.org/17",
    "source": {"commit": {"hash": CHANGE.head[:12]}, "branch": {"name": "work"}},
    "destination": {"branch": {"name": "main"}}, "fromRef": {"latestCommit": CHANGE.head, "displayId": "work"},
    "toRef": {"displayId": "main"}, "head_commit": {"id": CHANGE.head}, "head_branch": "work", "base_branch": "main",
}  # fmt: skip
FORGES = tuple(
    json.dumps(one).encode()
    for one in (
        _USER,
        [_COMMENT],
        [_PULL],
        {"values": [_COMMENT], "next": "https://api.bitbucket.org/2.0/x", "isLastPage": False, "nextPageStart": 1},
        {"values": [_PULL]},
        _COMMENT,
        {"message": "Not Found", "errors": [{"message": "no", "field": "x"}]},
        {"check_runs": [{"id": 3, "external_id": "mlbutler", "output": {"annotations_count": 0}}]},
        {"version": "1.2.3"},
        {"state": "open", "values": [{"action": "COMMENTED", "comment": _COMMENT}], "isLastPage": True},
    )
)
_BUILD = {"number": 3, "building": True, "result": None, "timestamp": 1700000000000,
          "actions": [{"parameters": [{"name": "ID", "value": "x"}]}, {}, None]}  # fmt: skip
CONTROLLERS = tuple(
    json.dumps(one).encode()
    for one in (
        _BUILD, {"builds": [_BUILD]}, {"property": [{"parameterDefinitions": [{"name": "ID"}]}], "actions": []},
        {"items": [{"id": 4, "why": "waiting", "inQueueSince": 1700000000000, "task": {"url": "https://ci/job/x/"},
                    "actions": [{"parameters": [{"name": "ID", "value": "x"}]}]}]},
        {"jobs": [{"name": "x", "color": "blue"}]}, {"offline": False}, {"crumbRequestField": "c", "crumb": "d"},
        {"data": {"result": "failure", "errors": [{"error": ["no"]}]}}, [{"message": "no", "line": 3}],
    )
)  # fmt: skip
_STATUSES = (200, 200, 200, 200, 200, 200, 201, 204, 301, 302, 400, 401, 403, 404, 409, 422, 429, 500, 503)
_HEADERS = ("location", "link", "retry-after", "x-next-page", "x-ratelimit-reset", "x-ratelimit-remaining",
            "x-ausername",            "content-type", "x-text-size", "x-more-data", "x-jenkins")  # fmt: skip
_MOST = 60
"""Requests for one question: an answer that always names a next page is asked for no longer than that."""


class _Enough(httpx.ConnectError):
    """The server is gone."""


class Answering:
    """Answers any request with this body, or with a valid one in between."""

    def __init__(self, content: bytes, seeds: tuple[bytes, ...], random: Random) -> None:
        self._content, self._seeds, self._random, self.asked = content, seeds, random, 0

    def __call__(self, client: httpx.Client, request: httpx.Request, **bounds: Any) -> httpx.Response:
        self.asked += 1
        if self.asked > 10_000:
            raise Fault(f"asked {self.asked:,} times")
        if self.asked > _MOST:
            raise _Enough("gone", request=request)
        body = self._content if self._random.random() < 0.5 else self._random.choice(self._seeds)
        headers = [
            (self._random.choice(_HEADERS).encode(), self._value()) for _ in range(self._random.choice((0, 0, 0, 1, 3)))
        ]
        return httpx.Response(self._random.choice(_STATUSES), headers=headers, content=body, request=request)

    def _value(self) -> bytes:
        text = self._random.choice((*TEXTS, *NUMBERS, "https://git.example.org/x", '<https://x>; rel="next"'))
        return text.encode("utf-8", "replace").replace(b"\n", b" ").replace(b"\r", b" ").replace(b"\0", b" ")


@contextlib.contextmanager
def _answered(module: Any, answering: Answering) -> Iterator[None]:
    kept = {name: getattr(module, name) for name in ("received", "sleep", "_PAUSES") if hasattr(module, name)}
    told = {"received": answering, "sleep": lambda seconds: None, "_PAUSES": (0.0,)}
    try:
        for name in kept:
            setattr(module, name, told[name])
        yield
    finally:
        for name, value in kept.items():
            setattr(module, name, value)


def forge(content: bytes, folder: Path, random: Random) -> None:
    """Ask a forge all that is asked of it; whatever it answers is a result or an error of ours."""
    policy = ApiRetryPolicy(attempts=2, pause=0.0, longest=1.0)
    with _answered(forge_http, Answering(content, FORGES, random)):
        opening = Opening(place=random.choice(_PLACES), environ={FORGE_TOKEN: "x" * 20}, root=folder, policy=policy)
        opened = open_forge(opening)
        for ask in random.sample(
            (
                lambda: opened.pull_request(CHANGE),
                lambda: opened.comment(
                    CHANGE, "mlbutler", f"new\n{marker('mlbutler', CHANGE.head)}", lambda head: False
                ),
                lambda: opened.status(CHANGE, "mlbutler", CommitStatus.SUCCESS, "passed", "https://ci.example.org/4/"),
                lambda: opened.open_pull_request(CHANGE, "title", "body"),
                lambda: opened.attach(
                    CHANGE, "mlbutler", [PictureFile("a.png", "image/png", b"x")], lambda head: False
                ),
            ),
            2,
        ):
            with contextlib.suppress(NotOffered):
                _asked(ask)


def _asked(ask: Any) -> None:
    from mlbutler.cli import error_lines

    try:
        found = ask()
    except NotOffered:
        raise
    except MlbutlerError as error:
        require_remedy(error)
        require_harmless(error_lines(error.message, error.remedy))
    else:
        require_harmless(clean(str(found)))


def controller(content: bytes, folder: Path, random: Random) -> None:
    """Ask a controller all that is asked of it."""
    with _answered(jenkins_client, Answering(content, CONTROLLERS, random)):
        client = _client()
        client._crumb = None
        job = Job(client, "team/train")
        for ask in random.sample(
            (
                job.parameter_names, job.builds, lambda: job.build(3), lambda: job.start({"ID": "x"}),
                lambda: job.end(3, "stop"), lambda: job.proceed(3, "x", {"a": "b"}), lambda: queue.waiting(client),
                client.jobs, lambda: client.is_online("one"), lambda: client.validate("x"), lambda: client.compile("x"),
                client.answers,
            ),
            2,
        ):  # fmt: skip
            _asked(ask)


class _Streams(JenkinsClient):
    """A controller whose growing log is this."""

    pieces: tuple[bytes, ...]
    random: Random

    @contextlib.contextmanager
    def stream(self, path: str, params: Any) -> Iterator[httpx.Response]:
        request = httpx.Request("GET", "https://ci.example.org/")
        headers = [(name, self.random.choice((*NUMBERS, "3", "true", ""))) for name in ("X-Text-Size", "X-More-Data")
                   if self.random.random() < 0.5]  # fmt: skip
        content = self.random.choice(self.pieces)
        yield httpx.Response(200, headers=headers, content=content, request=request)


@cache
def _client() -> JenkinsClient:
    return JenkinsClient("https://ci.example.org/", "ada", "x" * 20)


@cache
def _streams() -> _Streams:
    return _Streams("https://ci.example.org/")


def console(content: bytes, folder: Path, random: Random) -> None:
    """Read a build's log as it grows."""
    client = _streams()
    client.pieces, client.random = (content, content[: len(content) // 2], b""), random
    text = ConsoleText(Job(client, "train"), 3)
    for _ in range(3):
        _asked(lambda: list(text.lines()))
