"""Executes a Jenkinsfile under Groovy, with a `sh` that really runs: see jenkins.groovy."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shlex
import shutil
import subprocess
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import forked_python

SECRETS = {
    "mlbutler-git": {"username": "bot", "password": "git-secret-1f7c"},
    "mlbutler-dvc": {"username": "ann", "password": "dvc-secret-9b2e"},
    "mlbutler-forge": {"secret": "forge-secret-44d0"},
}

JAVA_OPTS = "-Djdk.lang.Process.launchMechanism=VFORK -Dfile.encoding=UTF-8 -XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""To compile well what runs once takes longer than to run it; with VFORK a command is started without a helper."""

RESULTS = ("plan", "sync", "check", "reproduce", "push", "commit")
"""The verbs of mlbutler that a results commit needs."""


def _java() -> str | None:
    java = shutil.which("java")
    return str(Path(java).resolve().parent.parent) if java else None


def _missing() -> str:
    """Return what of Groovy, Java and Ant is not installed; Debian's Groovy comes without Ant."""
    program = shutil.which("groovy")
    if program is None or _java() is None:
        return "Groovy or Java is not installed"
    home = Path(os.environ.get("GROOVY_HOME") or Path(program).resolve().parents[1], "lib")
    if not any(jar.exists() for jar in (*home.glob("ant.jar"), *home.glob("ant-[0-9]*.jar"))):  # or a link to nowhere
        return "Ant is not installed (apt-get install ant)"
    return ""


needs_groovy = pytest.mark.skipif(bool(_missing()), reason=_missing())


def groovy_environment() -> dict[str, str]:
    """Return the environment that Groovy is started in."""
    return os.environ | {"JAVA_HOME": str(_java()), "LC_ALL": "C.UTF-8", "JAVA_OPTS": JAVA_OPTS}


@dataclass(frozen=True)
class Built:
    """What became of a build: its result, its log, what happened in it, and the folder of what was kept."""

    result: str
    log: str
    events: Sequence[Mapping[str, Any]]
    archive: Path

    def commands(self, word: str = "mlbutler ") -> list[str]:
        """The shell commands that begin so, in order."""
        return [event["script"] for event in self.events if event["step"] == "sh" and event["script"].startswith(word)]

    def event(self, script: str) -> Mapping[str, Any]:
        """What happened when this command ran, the last time."""
        return [event for event in self.events if event["step"] == "sh" and event["script"] == script][-1]


def write_mlbutler(program: Path, verbs: Collection[str] | None = None, **more: Any) -> None:
    """Write a `mlbutler`, of which these `verbs` alone do anything, where some are given: the others pass at once.

    Args:
        more: see `tests.forked_python.write_program`.
    """
    if verbs is None:
        forked_python.write_program(program, "mlbutler", **more)
        return
    whole = program.with_name("mlbutler-with-all-verbs")
    forked_python.write_program(whole, "mlbutler", **more)
    program.write_text(
        f'#!/bin/sh\ncase " {" ".join(verbs)} " in *" $1 "*) exec {shlex.quote(str(whole))} "$@" ;; esac\n'
    )
    program.chmod(0o755)


def build(
    directory: Path,
    script: Path,
    checkout: str,
    environ: Mapping[str, str],
    *,
    credentials: Mapping[str, Mapping[str, str]] = SECRETS,
    libraries: Sequence[Path] = (),
    lose: str = "",
    loses: int = 1,
    vanish: Collection[str] = (),
    times: int = 1,
    labels: Sequence[str] = (),
    agents: Mapping[str, Sequence[str]] | None = None,
    params: Mapping[str, str] | None = None,
    pressed: Path | None = None,
    abort: str = "",
    aborted_by: Path | None = None,
    abort_passes: bool = False,
    trusted: Path | None = None,
    untrusted: Sequence[str] = (),
    foreign: bool = False,
    silent: str = "",
    silences: int = 1,
    dies: bool = False,
) -> Built:
    """Run the Jenkinsfile `script`.

    Args:
        directory: an empty one, for workspaces and what is kept. checkout: a shell command that fills a workspace.
        lose: the stage in which the agent is lost, `loses` times. vanish: those in which the agent comes back without
            the process, so many `times` each. labels: that there are agents for; any if empty.
        abort: the stage in which the build is aborted once its command has made the file `aborted_by`.
        abort_passes: that command ends with 0 all the same.
        trusted: a clone of the target branch, for `readTrusted`. untrusted: what the change has otherwise there.
        foreign: workspaces hold files that the agent's user cannot delete.
        silent: the stage in which so many commands (`silences`) never end, and write nothing; `dies`: with their agent.
    """
    directory.mkdir(parents=True, exist_ok=True)
    plan = {
        "script": str(script), "environment": dict(environ), "credentials": credentials, "checkout": checkout,
        "workspaces": str(directory / "workspaces"), "archive": str(directory / "archive"),
        "events": str(directory / "events.json"), "libraries": [str(path) for path in libraries], "lose": lose,
        "loses": loses,
        "vanish": list(vanish), "times": times,
        "labels": list(labels), "agents": agents or {}, "params": params or {}, "pressed": str(pressed or ""),
        "abort": abort, "aborted_by": str(aborted_by or directory),
        "abort_passes": abort_passes,
        "trusted": str(trusted or ""), "untrusted": list(untrusted), "foreign": foreign,
        "silent": silent, "silences": silences, "dies": dies,
    }  # fmt: skip
    (directory / "plan.json").write_text(json.dumps(plan))
    log = directory / "build.log"
    _builds().run(directory / "plan.json", log)
    said = log.read_text(encoding="utf-8", errors="replace")
    assert (directory / "events.json").is_file(), said[-3000:]
    found = json.loads((directory / "events.json").read_text())
    return Built(found["result"], said, found["events"], directory / "archive")


class _Builds:
    """One Groovy for all builds of these tests: to start it takes longer than most of them."""

    def __init__(self) -> None:
        here = Path(__file__).parent
        self._process = subprocess.Popen(
            ["groovy", "-encoding", "UTF-8", str(here / "builds.groovy"), str(here / "jenkins.groovy")],
            env=groovy_environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        atexit.register(self._stop)

    def run(self, plan: Path, log: Path) -> None:
        """Run one build to its end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{plan}\t{log}\n")
        self._process.stdin.flush()
        hung = threading.Timer(3000, self._process.kill)
        hung.start()
        try:
            assert self._process.stdout.readline() == "done\n", log.read_text(encoding="utf-8", errors="replace")[
                -3000:
            ]
        finally:
            hung.cancel()

    def _stop(self) -> None:
        self._process.communicate()


@functools.cache
def _builds() -> _Builds:
    return _Builds()
