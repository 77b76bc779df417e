"""Machines of GitHub Actions and GitLab CI, played: a file's shell lines run in order, in a real clone."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

_CONDITIONS: dict[str, Callable[[str], bool]] = {
    "!cancelled()": lambda status: status != "cancelled",
    "always()": lambda status: True,
    "success()": lambda status: status == "success",
}


@dataclass
class Job:
    """What became of a job, and of each command: name -> exit code, and what it wrote."""

    status: str = "success"
    codes: dict[str, int] = field(default_factory=dict)
    log: str = ""


def on_github(
    text: str, clone: Path, environ: Mapping[str, str], secrets: Mapping[str, str], token: str, cancelled_at: str = ""
) -> Job:
    """Run a workflow's steps as GitHub's runner does: conditions, expressions, `GITHUB_PATH`; without actions."""
    job = Job()
    [content] = YAML(typ="safe", pure=True).load(text)["jobs"].values()
    temporary = clone.with_name(f"{clone.name}-temporary")
    temporary.mkdir()
    files = {name: temporary / name for name in ("GITHUB_PATH", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.touch()
    outcomes: dict[str, str] = {}
    values = {"github.token": token, "github.workspace": str(clone)}
    values |= {f"secrets.{name}": value for name, value in secrets.items()}
    for number, step in enumerate(content["steps"]):
        if cancelled_at and step.get("name") == cancelled_at:
            job.status = "cancelled"
        if "run" not in step or not _holds(step.get("if", "success()"), job.status, outcomes):
            continue
        given = {**content.get("env", {}), **step.get("env", {})}
        own = {name: _evaluate(str(value), values, job.status) for name, value in given.items()}
        path = ":".join((*reversed(files["GITHUB_PATH"].read_text().split()), environ["PATH"]))
        places = {"RUNNER_TEMP": str(temporary), **{name: str(file) for name, file in files.items()}, "PATH": path}
        program = ["bash", "-e", "-c", _evaluate(step["run"], values, job.status)]
        whole = {**environ, **own, **places}
        done = subprocess.run(program, cwd=clone, env=whole, capture_output=True, text=True, check=False)
        name = str(step.get("name") or step.get("id") or number)
        job.codes[name] = done.returncode
        job.log += done.stdout + done.stderr
        if "id" in step:
            outcomes[step["id"]] = "failure" if done.returncode else "success"
        if done.returncode:
            job.status = "failure"
    return job


def _holds(condition: str, status: str, outcomes: Mapping[str, str]) -> bool:
    parts = [part.strip() for part in condition.removeprefix("${{").removesuffix("}}").split("&&")]
    for part in parts:
        if match := re.fullmatch(r"steps\.(\w+)\.outcome == '(\w+)'", part):
            holds = outcomes.get(match[1]) == match[2]
        else:
            holds = _CONDITIONS[part](status)
        if not holds:
            return False
    return True


def _evaluate(text: str, values: Mapping[str, str], status: str) -> str:
    def replace(match: re.Match[str]) -> str:
        expression = match[1].strip()
        if expression.startswith("job.status"):
            return "yes" if status == "cancelled" else ""
        return values.get(expression, "") if expression.startswith("secrets.") else values[expression]

    return re.sub(r"\$\{\{(.*?)\}\}", replace, text)


def on_gitlab(
    text: str, clone: Path, environ: Mapping[str, str], variables: Mapping[str, str], status: str = ""
) -> Job:
    """Run a job as GitLab's runner does: all lines in one shell, then `after_script` in another."""
    [content] = YAML(typ="safe", pure=True).load(text).values()
    given = {name: str(value).replace("$CI_PROJECT_DIR", str(clone)) for name, value in content["variables"].items()}
    whole = {**environ, **variables, **given, "CI_PROJECT_DIR": str(clone)}
    job = Job()
    script = "\n".join(_shell(line) for line in (*content["before_script"], *content["script"]))
    done = _sh(script, clone, whole)
    job.codes["script"], job.log = done.returncode, done.stdout + done.stderr
    job.status = "success" if done.returncode == 0 else "failed"
    after = _sh("\n".join(content["after_script"]), clone, {**whole, "CI_JOB_STATUS": status or job.status})
    job.codes["after_script"] = after.returncode
    job.log += after.stdout + after.stderr
    return job


def _shell(line: Any) -> str:
    assert isinstance(line, str)
    return line


def _sh(script: str, clone: Path, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-ec", script], cwd=clone, env=environ, capture_output=True, text=True, check=False)
