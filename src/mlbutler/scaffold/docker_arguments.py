"""Options of ``docker run``, as a Jenkinsfile's `args` have them: which of them builds may keep."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mlbutler.jenkins.expressions import WORKSPACE
from mlbutler.jenkins.handwritten import Fact
from mlbutler.scaffold.carried import is_option, is_volume

_LONG = {"-v": "--volume", "-e": "--env", "-w": "--workdir", "-u": "--user", "-m": "--memory", "-h": "--hostname",
         "--net": "--network", "-p": "--publish", "-l": "--label"}  # fmt: skip
_TERMINAL = ("-t", "-d", "-i", "-it", "-ti", "-td", "--tty", "--detach", "--interactive", "--rm", "--init")
_FLAGS = (*_TERMINAL, "--privileged", "-P", "--read-only", "--oom-kill-disable", "--no-healthcheck")
_NEEDLESS = (*_TERMINAL, "--cap-drop", "--pids-limit", "--name", "--pull")
"""Jenkins gives these, or the generated file does."""
_WHY = {
    "--user": "builds run as the agent's user",
    "--privileged": "it gives builds the agent itself",
    "--ipc": "it shares the agent's memory; --shm-size gives data loaders room",
}


@dataclass
class DockerArguments:
    """What the options say, each with its line; `workspace`: where the container has the build's workspace too."""

    variables: list[tuple[int, str, str | None]] = field(default_factory=list)
    volumes: list[tuple[int, str]] = field(default_factory=list)
    options: list[tuple[int, str]] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    workspace: str = ""

    def in_workspace(self, value: str) -> str:
        """Return a value in which the container's path of the workspace is the workspace itself."""
        if not self.workspace:
            return value
        return re.sub(rf"(?<![\w./-]){re.escape(self.workspace)}(?=[/:,]|$)", lambda _: WORKSPACE, value)


def parse_arguments(facts: Iterable[Fact]) -> DockerArguments:
    """Return what the `args` of all agents say together."""
    found = DockerArguments()
    for fact in facts:
        for name, value in _options(fact, found):
            _take(fact.line, name, value, found)
    return found


def _options(fact: Fact, found: DockerArguments) -> Iterator[tuple[str, str]]:
    """Yield (long name, value) of each option, '' for a flag's value."""
    try:
        words = shlex.split(fact.value or "")
    except ValueError:
        found.refused.append((fact.line, "args: a quote is never closed"))
        return
    waiting = iter(words)
    for word in waiting:
        name, equals, value = word.partition("=")
        if not word.startswith("-"):
            found.refused.append((fact.line, f"args: {word}"))
        elif word in _FLAGS:
            yield word, ""
        elif equals and name.startswith("--"):
            yield _LONG.get(name, name), value
        elif re.match(r"-[vewum]\S", word):  # -v/a:/b
            yield _LONG[word[:2]], word[2:].removeprefix("=")
        else:
            yield _LONG.get(word, word), next(waiting, "")


def _take(line: int, name: str, value: str, found: DockerArguments) -> None:
    if name == "--volume":
        _volume(line, value, found)
    elif name == "--env":
        variable, equals, text = value.partition("=")
        found.variables.append((line, variable, text if equals else None))
    elif name == "--workdir" or name in _NEEDLESS or (name, value) == ("--security-opt", "no-new-privileges"):
        return
    elif is_option(f"{name}={value}") and (name != "--entrypoint" or not value):
        found.options.append((line, f"{name}={value}"))
    else:
        shown = " ".join(filter(None, (name, value)))
        found.refused.append((line, f"{shown}: {_WHY.get(name, 'not known to be harmless')}"))


def _volume(line: int, value: str, found: DockerArguments) -> None:
    source, _, rest = value.partition(":")
    target, _, mode = rest.partition(":")
    target = posixpath.normpath(target) if target.startswith("/") else target
    if source.rstrip("/") in (WORKSPACE, "."):
        found.workspace = target
        return
    flags = set(mode.split(",")) if mode else set()
    volume = (
        f"{posixpath.normpath(source) if source.startswith('/') else source}:{target}{':ro' if 'ro' in flags else ''}"
    )
    if is_volume(volume) and flags <= {"ro", "rw", "z", "Z"}:
        found.volumes.append((line, volume))
    else:
        found.refused.append((line, f"-v {value}: not a folder of the agent that builds may have"))
