"""What the files for GitHub Actions and GitLab CI do with exit codes, keys and cancelled jobs: mlbutler is played."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from mlbutler.run_table import NAMES
from mlbutler.scaffold.detected import ContainerImage, DetectedProject, Remote
from mlbutler.scaffold.options import GITHUB, GITLAB, ScaffoldOptions
from mlbutler.scaffold.render import render_files
from tests.scaffold.ci_machines import Job, on_github, on_gitlab

PLAYED = """#!/bin/sh
echo "$*" >> "$CALLS"
key="$MLBUTLER_REMOTE_PRIVATE_KEY_FILE"
if [ -n "$key" ]; then echo "$1 $(stat -c %a "$key") $(cat "$key")" >> "$CALLS.keys"; fi
echo "$1 ${SECRET+SECRET}" >> "$CALLS.seen"
if [ "$1" = "$FAILS" ]; then exit "$CODE"; fi
"""
FOUND = DetectedProject("x", forge="github", target="main", remote=Remote("origin", "http"))


@dataclass
class Machine:
    """A folder with a played mlbutler, and what that was called with."""

    folder: Path

    def run(self, ci: str, found: DetectedProject = FOUND, fails: str = "", code: int = 0, **more: Any) -> Job:
        files = render_files(
            found, ScaffoldOptions(ci=ci, **{"agent": "label", "label": "x", **more.pop("options", {})})
        )
        [text] = [text for path, text in files.items() if path.endswith(".yml") and "-forks" not in path]
        clone, programs = self.folder / "clone", self.folder / "programs"
        programs.mkdir()
        (programs / "mlbutler").write_text(PLAYED)
        (programs / "mlbutler").chmod(stat.S_IRWXU)
        subprocess.run(["git", "init", "-q", str(clone)], check=True)
        subprocess.run(["git", "remote", "add", "origin", "x"], cwd=clone, check=True)
        environ = {"PATH": f"{programs}:/usr/bin:/bin", "CALLS": str(self.folder / "calls"), "FAILS": fails,
                   "CODE": str(code), "HOME": str(self.folder), "TMPDIR": str(self.folder),
                   "CI_PROJECT_URL": "https://gitlab.example/x"}  # fmt: skip
        if ci == GITHUB:
            return on_github(text, clone, environ, more.get("secrets", {}), "t", more.get("cancelled_at", ""))
        return on_gitlab(text, clone, environ, more.get("secrets", {}), more.get("status", ""))

    def lines(self, name: str = "calls") -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("ci", [GITHUB, GITLAB])
@pytest.mark.parametrize("fails", ["plan", "test", "reproduce", "compare", "publish"])
def test_every_step_is_called_whatever_failed_before(machine: Machine, ci: str, fails: str) -> None:
    job = machine.run(ci, fails=fails, code=1)
    called = [line for line in machine.lines() if line != "--version"]
    assert sorted(called) == sorted(NAMES)
    assert called[0] == "plan"
    assert job.status != "success"


@pytest.mark.parametrize(("ci", "code", "status", "script"), [
    (GITHUB, 1, "success", 0), (GITHUB, 3, "failure", 3), (GITLAB, 1, "failed", 10), (GITLAB, 3, "failed", 1),
    (GITHUB, 0, "success", 0), (GITLAB, 0, "success", 0),
])  # fmt: skip
def test_a_failed_gate_may_be_a_warning(machine: Machine, ci: str, code: int, status: str, script: int) -> None:
    job = machine.run(ci, fails="compare", code=code, options={"gate_as": "unstable"})
    assert (job.status, job.codes["compare" if ci == GITHUB else "script"]) == (status, script)
    assert ("::warning" in job.log) is (ci == GITHUB and code == 1)


def test_a_cancelled_job_on_github_is_told_of_as_interrupted(machine: Machine) -> None:
    machine.run(GITHUB, cancelled_at="reproduce")
    assert machine.lines()[-2:] == ["report --interrupted", "publish"]
    assert "push" not in machine.lines()


def test_a_cancelled_job_on_gitlab_is_told_of_as_interrupted(machine: Machine) -> None:
    machine.run(GITLAB, status="canceled")
    assert machine.lines()[-2:] == ["report --interrupted", "publish"]


@pytest.mark.parametrize("key", ["a key\nof two lines", ""])
def test_a_key_is_a_file_while_its_command_runs(machine: Machine, key: str) -> None:
    secrets = {"MLBUTLER_REMOTE_PRIVATE_KEY_FILE": key}
    job = machine.run(GITHUB, replace(FOUND, remote=Remote("origin", "ssh")), secrets=secrets)
    assert job.status == "success"
    seen = [line for line in machine.lines("calls.keys") if " 600 " in line]
    with_key = {"plan", "sync", "check", "push", "compare", "commit"}
    assert {line.split()[0] for line in seen} == (with_key if key else set())
    assert all(line.strip() in (*NAMES, "--version") for line in machine.lines("calls.seen"))
    assert not [path for path in machine.folder.glob("tmp.*") if path.is_file()]


def test_variables_that_a_gitlab_project_does_not_have_are_not_set_to_nothing(machine: Machine) -> None:
    """An empty user name would be one."""
    text = render_files(FOUND, ScaffoldOptions(ci=GITLAB, agent="label", label="x"))[".gitlab-ci.yml"]
    assert "MLBUTLER_GIT_TOKEN" in text
    machine.folder.joinpath("programs").mkdir()
    program = machine.folder / "programs" / "mlbutler"
    program.write_text('#!/bin/sh\necho "$1 ${MLBUTLER_GIT_TOKEN+set} ${MLBUTLER_REMOTE_USER}" >> "$CALLS"\n')
    program.chmod(stat.S_IRWXU)
    subprocess.run(["git", "init", "-q", str(machine.folder / "clone")], check=True)
    subprocess.run(["git", "remote", "add", "origin", "x"], cwd=machine.folder / "clone", check=True)
    environ = {"PATH": f"{program.parent}:/usr/bin:/bin", "CALLS": str(machine.folder / "calls"), "CI_PROJECT_URL": "x"}
    on_gitlab(text, machine.folder / "clone", environ, {"MLBUTLER_REMOTE_USER": 'o\'neil $(id) "x"'})
    assert 'plan  o\'neil $(id) "x"' in machine.lines()
    assert "test  " in machine.lines()


def test_gitlabs_container_is_set_up_by_the_dockerfiles_lines(tmp_path: Path) -> None:
    """The installers are played; /opt and /usr/local are folders of the test."""
    image = ContainerImage(
        "python", "nvidia/cuda:12", ("requirements.txt",),
        ("sed -i '/^-e/d' requirements.txt && pip install -r requirements.txt",),
        add="pip install {}", variables=(("PATH", "/opt/project/bin:$PATH"),), python="uv venv --seed",
        before=("uv venv /opt/project",),
    )  # fmt: skip
    found = replace(FOUND, image=image, missing=("flake8",), folder="sub dir")
    text = render_files(found, ScaffoldOptions(ci=GITLAB, requirement="mlbutler==9"))["mlbutler.gitlab-ci.yml"]
    clone, programs, calls = tmp_path / "clone", tmp_path / "programs", tmp_path / "calls"
    (clone / "sub dir").mkdir(parents=True)
    (clone / "sub dir" / "requirements.txt").write_text("-e .\nsix\n")
    subprocess.run(["git", "init", "-q", str(clone)], check=True)
    subprocess.run(["git", "remote", "add", "origin", "x"], cwd=clone, check=True)
    opt = tmp_path / "opt"
    for folder in (programs, tmp_path / "usr" / "local" / "bin", opt / "mlbutler" / "bin", opt / "uv" / "bin"):
        folder.mkdir(parents=True)
    installers = [programs / name for name in ("apt-get", "python3", "pip")]
    brought = [opt / name for name in ("mlbutler/bin/pip", "mlbutler/bin/python", "uv/bin/pip", "uv/bin/uv")]
    for path in (*installers, *brought):
        path.write_text(f'#!/bin/sh\necho "{path.name} $*" >> "{calls}"\n')
        path.chmod(stat.S_IRWXU)
    text = text.replace("/opt/", f"{tmp_path}/opt/").replace("/usr/local/", f"{tmp_path}/usr/local/")
    environ: Mapping[str, str] = {"PATH": f"{programs}:{tmp_path}/usr/local/bin:/usr/bin:/bin", "CI_PROJECT_URL": "x"}
    job = on_gitlab(text, clone, environ, {})
    assert job.status == "success", job.log
    mirror = "/clone/.mlbutler-mirror"
    said = [line.replace(f"{tmp_path}/", "/") for line in calls.read_text().splitlines()]
    assert said[0].startswith("apt-get update")
    assert "python3-venv" in said[1]
    assert said[2:] == [
        "python3 -m venv /opt/uv", "pip install --quiet uv==0.9.*", "uv venv --seed /opt/mlbutler",
        "pip install --quiet mlbutler==9", "uv venv /opt/project",
        "pip install -r requirements.txt", "pip install flake8",
        *(f"python -I -m mlbutler {name}" for name in ("plan", *(name for name in NAMES if name != "plan"))),
        f"python -I -m mlbutler store prune --mirror {mirror} --adopt {mirror} --limit 5GB",
    ]  # fmt: skip
    assert (clone / "sub dir" / "requirements.txt").read_text() == "-e .\nsix\n"
    assert (tmp_path / "opt" / "dependencies" / "sub dir" / "requirements.txt").read_text() == "six\n"
