"""One job of a played controller, whose builds really run, as processes on agents with one executor each.

What it answers is what Jenkins was seen to answer: a build begins at once and its step ``node`` waits in the queue
under the build's address; carriage returns are in the log's answer and not in its size; ``stop`` is a
SIGTERM that a process may ignore, and only ``kill`` ends the build whatever runs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests import forked_python

NOTE = "\x1b[8mha:////4AAAA==\x1b[0m"
Answer = tuple[int, bytes, dict[str, str]]


class Aborted(Exception):
    """The build was stopped."""


class AgentLost(Exception):
    """The agent was killed, with all that ran there."""


@dataclass
class Agent:
    """A machine with one executor."""

    name: str
    labels: frozenset[str]
    online: bool = True
    build: Build | None = None


@dataclass
class Item:
    """What waits in the queue: a build, or (`build`) the step of one."""

    id: int
    label: str
    parameters: dict[str, str]
    build: Build | None = None
    since: float = field(default_factory=time.time)


class Build:
    """One build; its script calls `sh`."""

    def __init__(self, farm: Farm, number: int, parameters: Mapping[str, str]) -> None:
        self.farm, self.number, self.parameters = farm, number, dict(parameters)
        self.started, self.building, self.result = time.time(), True, ""
        self.log, self.agent = bytearray(), None  # type: bytearray, Agent | None
        self.questions: dict[str, threading.Event] = {}
        self.answers: dict[str, dict[str, str]] = {}
        self.processes: list[subprocess.Popen[bytes]] = []
        self.stopped = False

    @property
    def url(self) -> str:
        return f"{self.farm.root}{self.farm.path}/{self.number}/"

    def say(self, text: str) -> None:
        with self.farm.lock:
            self.log += f"{text}\n".encode()

    def pipeline(self, text: str) -> None:
        self.say(f"{NOTE}[Pipeline] {text}")

    @contextmanager
    def node(self, label: str) -> Iterator[Agent]:
        """Wait for an agent with the label, and hold it."""
        self.pipeline("node")
        item = self.farm.enqueue(Item(0, label, {}, self))
        try:
            while self.agent is None:
                self._check()
                time.sleep(0.02)
        except Aborted:
            self.farm.leave(item)
            raise
        self.say(f"Running on {self.agent.name} in /home/jenkins/workspace")
        try:
            yield self.agent
        finally:
            self.farm.release(self.agent)
            self.agent = None

    def sh(
        self, *command: str, cwd: os.PathLike[str] | str, environ: Mapping[str, str], said: list[str] | None = None
    ) -> int:
        """Run a command on the agent; its output goes to the log, its exit code is returned.

        Args:
            said: gets the lines of standard output in place of the log.

        Raises:
            Aborted, AgentLost.
        """
        self._check()
        self.pipeline("sh")
        self.say(f"+ {' '.join(command[-4:])}")
        with tempfile.TemporaryFile() as output:
            process = forked_python.Popen[bytes](
                command, cwd=cwd, env=dict(environ), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if said is None else output,
                stderr=subprocess.STDOUT if said is None else subprocess.PIPE, start_new_session=True,
            )  # fmt: skip
            self.processes.append(process)
            stream = process.stdout or process.stderr
            assert stream is not None
            for line in stream:
                with self.farm.lock:
                    self.log += line
            code = process.wait()
            if said is not None:
                output.seek(0)
                said += output.read().decode().splitlines()
        self._check()
        return code

    def ask(self, question: str) -> threading.Event:
        """Begin to ask, as the step ``input`` does."""
        self.questions[question] = threading.Event()
        return self.questions[question]

    def _check(self) -> None:
        if self.stopped:
            raise Aborted
        if self.agent is not None and not self.agent.online:
            raise AgentLost

    def signal(self, number: int) -> None:
        for process in self.processes:
            if process.poll() is None:
                try:
                    os.killpg(process.pid, number)
                except ProcessLookupError:
                    continue


Script = Callable[[Build], str]
"""Runs a build and returns its result."""


class Farm:
    """A job, its queue and its agents.

    Args:
        agents: name -> labels. script: what a build does.
    """

    def __init__(
        self, agents: Mapping[str, Sequence[str]], script: Script, name: str = "team/train",
        parameters: Sequence[str] = ("EXPERIMENT", "LABEL"),
    ) -> None:  # fmt: skip
        self.name, self.declared, self.script = name, parameters, script
        self.path = "/".join(f"job/{quote(part, safe='')}" for part in name.split("/"))
        self.root = "http://jenkins.invalid/"  # what the controller calls itself, which is not how it is reached
        self.agents = [Agent(agent, frozenset(labels)) for agent, labels in agents.items()]
        self.items: list[Item] = []
        self.builds: list[Build] = []
        self.lock = threading.RLock()
        self.disabled = self.held = False
        self._numbers = iter(range(1, 10**9))

    # ---------------------------------------------------------------------------------- the queue

    def enqueue(self, item: Item) -> Item:
        with self.lock:
            item.id = next(self._numbers)
            self.items.append(item)
            self.schedule()
        return item

    def leave(self, item: Item) -> None:
        with self.lock:
            if item in self.items:
                self.items.remove(item)

    def schedule(self) -> None:
        """Begin builds that wait, and give agents to steps that wait, in their order."""
        with self.lock:
            for item in list(self.items):
                if item.build is None and not self.held:
                    self.items.remove(item)
                    self.begin(item.parameters)
                elif item.build is not None and (agent := self._free(item.label)) is not None:
                    self.items.remove(item)
                    agent.build, item.build.agent = item.build, agent

    def _free(self, label: str) -> Agent | None:
        return next((one for one in self.agents if one.online and one.build is None
                     and (not label or label in one.labels)), None)  # fmt: skip

    def release(self, agent: Agent) -> None:
        with self.lock:
            agent.build = None
            self.schedule()

    def begin(self, parameters: Mapping[str, str]) -> Build:
        with self.lock:
            build = Build(self, len(self.builds) + 1, parameters)
            self.builds.append(build)
        threading.Thread(target=self._run, args=[build], daemon=True).start()
        return build

    def _run(self, build: Build) -> None:
        try:
            result = self.script(build)
        except Aborted:
            result = "ABORTED"
        except AgentLost:
            result = "FAILURE"
        except BaseException as error:
            build.say(repr(error))
            result = "FAILURE"
        build.say(f"Finished: {result}")
        build.result = result
        build.building = False

    def kill(self, agent: str) -> None:
        """Kill an agent with all that runs there, and bring it back later with `revive`."""
        found = next(one for one in self.agents if one.name == agent)
        found.online = False
        if found.build is not None:
            found.build.signal(signal.SIGKILL)

    def revive(self, agent: str) -> None:
        next(one for one in self.agents if one.name == agent).online = True
        self.schedule()

    def close(self) -> None:
        """End all builds."""
        for build in self.builds:
            build.stopped = True
            build.signal(signal.SIGKILL)

    # ------------------------------------------------------------------------------------- answers

    def get(self, path: str, query: Mapping[str, str]) -> Answer | None:
        if path == "/queue/api/json":
            with self.lock:
                return _json({"items": [self._item(item) for item in self.items]})
        if not path.startswith(f"/{self.path}/"):
            return None
        rest = path.removeprefix(f"/{self.path}/").split("/")
        if rest == ["api", "json"]:
            defined = [{"name": name} for name in self.declared]
            newest = self.builds[::-1]
            most = int(query["tree"].rpartition(",")[2].rstrip("}")) if "builds[" in query.get("tree", "") else 100
            return _json({
                "property": [{}, {"parameterDefinitions": defined}], "actions": [{}],
                "builds": [_build(build) for build in newest[:most]],
            })  # fmt: skip
        build = self._build(rest[0])
        if build is None:
            return 404, b"", {}
        if rest[1:] == ["api", "json"]:
            return _json(_build(build))
        if rest[1:] == ["logText", "progressiveText"]:
            return self._text(build, int(query.get("start", "0")))
        return 404, b"", {}

    def post(self, path: str, query: Mapping[str, str], form: Mapping[str, str]) -> Answer | None:
        if path == "/queue/cancelItem":
            found = [item for item in self.items if item.id == int(query["id"]) and item.build is None]
            for item in found:
                self.leave(item)
            return (204 if found else 404), b"", {}
        if not path.startswith(f"/{self.path}/"):
            return None
        rest = path.removeprefix(f"/{self.path}/").split("/")
        if rest == ["buildWithParameters"]:
            return self._start_build(form)
        build = self._build(rest[0])
        if build is None:
            return 404, b"", {}
        if rest[1] in ("stop", "term", "kill"):
            self._end(build, rest[1])
            return 302, b"", {"Location": f"/{self.path}/{build.number}/"}
        if rest[1] == "input":
            return self._answer_question(build, rest[2], rest[3], form)
        return 404, b"", {}

    def _start_build(self, form: Mapping[str, str]) -> Answer:
        if self.disabled:
            return 409, b"", {}
        if not self.declared:
            return 500, b"This build is not parameterized!", {}
        parameters = {name: form.get(name, "") for name in self.declared}
        with self.lock:
            for item in self.items:
                if item.build is None and item.parameters == parameters:
                    return 303, b"", {"Location": f"{self.root}queue/item/{item.id}/"}
            item = self.enqueue(Item(0, "", parameters))
        return 201, b"", {"Location": f"{self.root}queue/item/{item.id}/"}

    def _end(self, build: Build, how: str) -> None:
        build.stopped = True
        build.signal(signal.SIGKILL if how == "kill" else signal.SIGTERM)

    def _answer_question(self, build: Build, question: str, how: str, form: Mapping[str, str]) -> Answer:
        event = build.questions.get(question)
        if event is None or event.is_set() or not build.building:
            return 404, b"", {}
        if how == "submit":
            given = json.loads(form["json"])["parameter"]
            build.answers[question] = {one["name"]: one["value"] for one in given}
        event.set()
        return 302, b"", {"Location": "/"}

    def _build(self, number: str) -> Build | None:
        return next((one for one in self.builds if str(one.number) == number), None)

    def _item(self, item: Item) -> dict[str, Any]:
        names = [{"name": name, "value": value} for name, value in item.parameters.items()]
        found = {"id": item.id, "inQueueSince": int(item.since * 1000)}
        if item.build is not None:
            why = f"Waiting for next available executor on \u2018{item.label}\u2019"
            step = {"url": f"{self.path}/{item.build.number}/"}  # below the controller's own address
            return found | {"why": why, "task": step, "actions": []}
        why, job = "In the quiet period. Expires in 4.9 sec", {"url": f"{self.root}{self.path}/"}
        return found | {"why": why, "task": job, "actions": [{}, {"parameters": names}]}

    def _text(self, build: Build, start: int) -> Answer:
        with self.lock:
            more, content = build.building, bytes(build.log)
        if start > len(content):
            start = len(content)
        headers = {"X-Text-Size": str(len(content)), "Content-Type": "text/plain;charset=utf-8"}
        return 200, content[start:].replace(b"\n", b"\r\n"), headers | ({"X-More-Data": "true"} if more else {})


def _build(build: Build) -> dict[str, Any]:
    given = [{"name": name, "value": value} for name, value in build.parameters.items()]
    # A result may be there while the build is still at its end.
    return {
        "number": build.number, "building": build.building, "result": build.result or None,
        "timestamp": int(build.started * 1000), "actions": [{}, {"parameters": given}],
    }  # fmt: skip


def _json(document: Any) -> Answer:
    return 200, json.dumps(document).encode(), {"Content-Type": "application/json"}
