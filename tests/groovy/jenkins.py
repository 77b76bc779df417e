"""Executes a Jenkinsfile under Groovy, with a `sh` that really runs: see jenkins.groovy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SECRETS = {
    "mlbutler-git": {"username": "bot", "password": "git-secret-1f7c"},
    "mlbutler-dvc": {"username": "ann", "password": "dvc-secret-9b2e"},
    "mlbutler-forge": {"secret": "forge-secret-44d0"},
}

_JAVA_OPTS = "-Dfile.encoding=UTF-8 -XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""It runs for seconds: to compile it well would take longer."""


def _java() -> str | None:
    java = shutil.which("java")
    return str(Path(java).resolve().parent.parent) if java else None


needs_groovy = pytest.mark.skipif(
    shutil.which("groovy") is None or _java() is None, reason="Groovy or Java is not installed"
)


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
    vanish: str = "",
    times: int = 1,
    labels: Sequence[str] = (),
    abort: str = "",
    aborted_by: Path | None = None,
    trusted: Path | None = None,
    untrusted: Sequence[str] = (),
    foreign: bool = False,
) -> Built:
    """Run the Jenkinsfile `script`.

    Args:
        directory: an empty one, for workspaces and what is kept. checkout: a shell command that fills a workspace.
        lose: the stage in which the agent is lost, `loses` times. vanish: the one in which the agent comes back without
            the process, so many `times`. labels: that there are agents for; any if empty.
        abort: the stage in which the build is aborted once its command has made the file `aborted_by`.
        trusted: a clone of the target branch, for `readTrusted`. untrusted: what the change has otherwise there.
        foreign: workspaces hold files that the agent's user cannot delete.
    """
    directory.mkdir(parents=True, exist_ok=True)
    plan = {
        "script": str(script), "environment": dict(environ), "credentials": credentials, "checkout": checkout,
        "workspaces": str(directory / "workspaces"), "archive": str(directory / "archive"),
        "events": str(directory / "events.json"), "libraries": [str(path) for path in libraries], "lose": lose,
        "loses": loses,
        "vanish": vanish, "times": times,
        "labels": list(labels), "abort": abort, "aborted_by": str(aborted_by or directory),
        "trusted": str(trusted or ""), "untrusted": list(untrusted), "foreign": foreign,
    }  # fmt: skip
    (directory / "plan.json").write_text(json.dumps(plan))
    done = subprocess.run(
        ["groovy", "-encoding", "UTF-8", str(Path(__file__).with_suffix(".groovy")), str(directory / "plan.json")],
        env=os.environ | {"JAVA_HOME": str(_java()), "LC_ALL": "C.UTF-8", "JAVA_OPTS": _JAVA_OPTS},
        capture_output=True, text=True, errors="replace", check=False, timeout=3000,
    )  # fmt: skip
    assert (directory / "events.json").is_file(), done.stdout[-3000:] + done.stderr[-3000:]
    found = json.loads((directory / "events.json").read_text())
    return Built(found["result"], done.stdout + done.stderr, found["events"], directory / "archive")
