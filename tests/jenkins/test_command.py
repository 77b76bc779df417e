"""The verbs as a user types them, with a program in the place of Java."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from mlbutler.jenkins.server.plugins import NEEDED
from tests import forked_python
from tests.jenkins.controller import Controller

JENKINSFILE = """\
pipeline {
    agent any
    stages {
        stage('all') {
            steps {
                sh 'mlbutler run'
            }
        }
    }
}
"""


@pytest.fixture
def clone(tmp_path: Path, java: Path) -> Path:
    """A repository with a remote and a Jenkinsfile; plugins and a WAR beside it."""
    folder = tmp_path / "digits"
    folder.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run(["git", "remote", "add", "origin", "https://github.com/team/digits.git"], cwd=folder, check=True)
    (folder / "Jenkinsfile").write_text(JENKINSFILE)
    (tmp_path / "jenkins.war").write_bytes(b"a war")
    (tmp_path / "plugins").mkdir()
    for name in NEEDED:
        (tmp_path / "plugins" / f"{name}.jpi").write_bytes(b"a plugin")
    return folder


def mlbutler(clone: Path, *args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"XDG_DATA_HOME": str(clone.parent / "data")} | environ
    return forked_python.run("mlbutler", "jenkins", *args, cwd=clone, env=environment)


def test_a_server_without_docker_from_up_to_down(clone: Path, port: int) -> None:
    up = ("up", "--war", "../jenkins.war", "--plugins", "../plugins", "--port", str(port), "--timeout", "30")
    try:
        first = mlbutler(clone, *up)
        assert first.returncode == 0, first.stdout + first.stderr
        home = clone.parent / "data" / "mlbutler" / "jenkins" / "digits"
        password = (home / "secrets" / "ADMIN_PASSWORD").read_text()
        assert f"password {password}" in first.stdout
        assert f"http://127.0.0.1:{port}/job/digits/" in first.stdout
        assert "mlbutler-dvc" in first.stdout  # what was not given is listed
        second = mlbutler(clone, *up)
        assert second.returncode == 0, second.stdout + second.stderr
        assert password not in second.stdout + second.stderr  # shown once
        status = mlbutler(clone, "status", "--json")
        found = json.loads(status.stdout)
        assert status.returncode == 0
        assert (found["answers"], found["agent_online"], found["job"]) == (True, True, "there")
        assert found["parts"] == {"controller": "running", "agent": "running"}
        assert password not in status.stdout + status.stderr
    finally:
        down = mlbutler(clone, "down", "--json")
    assert down.returncode == 0, down.stderr
    gone = mlbutler(clone, "status")
    assert gone.returncode == 3
    assert "answers       no" in gone.stdout


def test_a_controller_that_ends_is_told_with_its_last_words(clone: Path, port: int) -> None:
    done = mlbutler(clone, "up", "--war", "../jenkins.war", "--plugins", "../plugins", "--port", str(port),
                    "--script", "broken/Jenkinsfile")  # fmt: skip
    assert done.returncode == 3
    assert "the controller has ended" in done.stderr
    assert "configuration is broken" in done.stderr
    mlbutler(clone, "down")


def test_a_port_that_is_taken_is_told_before_anything_starts(clone: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = mlbutler(clone, "up", "--war", "../jenkins.war", "--plugins", "../plugins", "--port", str(port))
    assert done.returncode == 2
    assert f"127.0.0.1 port {port}: Address already in use" in done.stderr
    assert "--port" in done.stderr.splitlines()[-1]
    assert not list(clone.parent.rglob("*.process.json"))


# Docker, with or without Compose, that keeps what it was asked; a controller that runs has the port.
DOCKER = """#!/bin/sh
echo "$*" >> "$0.log"
[ "$1 $2" = "compose version" ] && exit {plugin}
case "$*" in *" ps "*) echo '{{"Service": "controller", "State": "{state}"}}' ;; *" up "*) exit 17 ;; esac
"""


def docker(clone: Path, *, plugin: int = 0, state: str = "exited") -> tuple[Path, str]:
    """(Docker's log, a PATH with it)."""
    program = clone.parent / "docker-bin" / "docker"
    program.parent.mkdir()
    program.write_text(DOCKER.format(plugin=plugin, state=state))
    program.chmod(0o755)
    return program.with_name("docker.log"), f"{program.parent}:{os.environ['PATH']}"


def test_docker_without_compose_names_the_package(clone: Path) -> None:
    _, path = docker(clone, plugin=1)
    done = mlbutler(clone, "up", PATH=path)
    assert done.returncode == 2
    assert "Docker is here, its Compose plugin is not" in done.stderr
    assert "docker-compose-plugin" in done.stderr


@pytest.mark.parametrize(("state", "code"), [("exited", 2), ("running", 3)])
def test_compose_is_not_asked_for_a_port_that_another_has(clone: Path, state: str, code: int) -> None:
    log, path = docker(clone, state=state)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = mlbutler(clone, "up", "--port", str(port), PATH=path)
    assert done.returncode == code, done.stderr
    assert (" up " in log.read_text()) is (state == "running")  # ours: it is brought up to the files


def test_down_keeps_the_volumes_unless_told(clone: Path) -> None:
    log, path = docker(clone, state="running")
    mlbutler(clone, "up", PATH=path)
    assert mlbutler(clone, "down", PATH=path).returncode == 0
    assert log.read_text().splitlines()[-1].endswith(" down")
    assert mlbutler(clone, "down", "--all", PATH=path).returncode == 0
    assert log.read_text().splitlines()[-1].endswith(" down --volumes")
    assert list((clone.parent / "data").rglob("secrets/ADMIN_PASSWORD"))


def test_half_a_credential_stops_it_and_names_the_file(clone: Path) -> None:
    _, path = docker(clone, state="running")
    mlbutler(clone, "up", PATH=path)
    (folder,) = (clone.parent / "data").rglob("secrets")
    (folder / "GIT_USERNAME").write_text("bot")
    done = mlbutler(clone, "up", PATH=path)
    assert done.returncode == 2
    assert "mlbutler-git is not complete: GIT_TOKEN is missing" in done.stderr
    assert str(folder / "GIT_TOKEN") in done.stderr


def test_without_the_password_the_status_says_so(clone: Path) -> None:
    _, path = docker(clone, state="running")
    mlbutler(clone, "up", PATH=path)
    (password,) = (clone.parent / "data").rglob("ADMIN_PASSWORD")
    password.unlink()
    done = mlbutler(clone, "status", "--json", PATH=path)
    assert done.returncode == 2
    assert "ADMIN_PASSWORD" in done.stderr
    assert "mlbutler jenkins up" in done.stderr


def test_without_docker_the_other_way_is_named(clone: Path) -> None:
    git = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    only = clone.parent / "only-git"
    only.mkdir()
    for program in (git, "/usr/bin/ssh-keygen"):
        if Path(program).exists():
            (only / Path(program).name).symlink_to(program)
    done = mlbutler(clone, "up", PATH=str(only))
    assert done.returncode == 2
    assert "--war" in done.stderr or "ssh-keygen" in done.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("status",), "There is no Jenkins server"),
        (("down",), "There is no Jenkins server"),
        (("up", "--source", "githup"), "no branch source"),
        (("up", "--url", "/srv/repo.git"), "no address on a network"),
        (("up", "--label", "a;b"), "no labels"),
        (("validate", "nowhere/Jenkinsfile"), "cannot be read"),
    ],
)
def test_wrong_use_says_what_to_do_and_leaves_nothing(clone: Path, args: tuple[str, ...], said: str) -> None:
    done = mlbutler(clone, *args)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 2  # the error and its remedy
    assert not (clone.parent / "data").exists()


def test_a_jenkinsfile_is_checked_offline_and_by_the_controller(clone: Path) -> None:
    assert mlbutler(clone, "validate").returncode == 0
    controller = Controller(token="t0ken").serve()
    login = {"MLBUTLER_JENKINS_USER": "somebody", "MLBUTLER_JENKINS_TOKEN": "t0ken"}
    good = mlbutler(clone, "validate", "--url", controller.url, "--json", **login)
    assert json.loads(good.stdout) | {"file": ""} == {
        "file": "", "valid": True, "checked": "offline and by the controller", "findings": [],
    }  # fmt: skip
    (clone / "Jenkinsfile").write_text("pipeline {\n    stages {\n    }\n}\n")
    bad = mlbutler(clone, "validate", "--url", controller.url, **login)
    assert bad.returncode == 1
    assert "Jenkinsfile:1: error: the pipeline has no agent section" in bad.stdout
    assert "the controller says: Missing required section" in bad.stdout
    denied = mlbutler(clone, "validate", "--url", controller.url, **(login | {"MLBUTLER_JENKINS_TOKEN": "wr0ng-token"}))
    assert denied.returncode == 3
    assert "wr0ng-token" not in denied.stdout + denied.stderr
