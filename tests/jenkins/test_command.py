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
from tests.jenkins import archives
from tests.jenkins.controller import Controller
from tests.ports import free_port

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
    archives.war(tmp_path / "jenkins.war")
    (tmp_path / "plugins").mkdir()
    for name in NEEDED:
        archives.plugin(tmp_path / "plugins" / f"{name}.jpi")
    return folder


def mlbutler(clone: Path, *args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"XDG_DATA_HOME": str(clone.parent / "data")} | environ
    return forked_python.run("mlbutler", "jenkins", *args, cwd=clone, env=environment)


@pytest.mark.parametrize(
    ("jenkins", "remoting"),
    [(archives.JENKINS, archives.REMOTING), (archives.OLDER_JENKINS, archives.OLDER_REMOTING)],
)
def test_a_server_without_docker_from_up_to_down(clone: Path, port: int, jenkins: str, remoting: str) -> None:
    archives.war(clone.parent / "jenkins.war", jenkins, remoting)
    up = ("up", "--war", "../jenkins.war", "--plugins", "../plugins", "--port", str(port), "--timeout", "600")
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


@pytest.mark.parametrize(
    ("script", "agent", "said", "words", "log"),
    [
        ("broken/Jenkinsfile", "", "the controller has ended", "configuration is broken", "controller.log"),
        ("failing/Jenkinsfile", "", "failed to initialize", '"JENKINS_HOME"', "controller.log"),
        ("Jenkinsfile", "NoClassDefFoundError", "the agent has ended", "NoClassDefFoundError", "agent.log"),
    ],
)
def test_what_ends_is_shown_at_once_with_the_end_of_its_log(
    clone: Path, port: int, script: str, agent: str, said: str, words: str, log: str
) -> None:
    """Without a time-out: it would be found after ten minutes."""
    try:
        done = mlbutler(clone, "up", "--war", "../jenkins.war", "--plugins", "../plugins", "--port", str(port),
                        "--script", script, PLAYED_AGENT=agent)  # fmt: skip
        again = mlbutler(clone, "up", "--war", "../jenkins.war", "--plugins", "../plugins", "--port", str(port))
    finally:
        mlbutler(clone, "down")
    assert done.returncode == 3
    assert f"Jenkins did not start: {'' if 'failed' in said else said}" in done.stderr
    assert said in done.stderr
    assert words in done.stderr
    assert f"/{log}" in done.stderr.splitlines()[-1]
    if agent:  # the controller goes on; another agent is started
        assert again.returncode == 0, again.stderr


def test_versions_that_do_not_fit_are_refused_before_anything_is_written(clone: Path) -> None:
    done = mlbutler(clone, "up", "--war", "../jenkins.war", "--plugins", "../plugins", PLAYED_JAVA="17.0.15")
    assert done.returncode == 2
    assert "Jenkins 2.568.2 does not run with Java 17" in done.stderr
    assert "Java 21 or 25" in done.stderr
    assert not (clone.parent / "data").exists()


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
case "$*" in
*" ps "*) echo '{parts}' ;;
*" up "*) exit {up} ;;
*" logs "*) for last; do :; done; echo "this is the log of $last" ;;
esac
"""


def docker(clone: Path, *, plugin: int = 0, up: int = 17, parts: dict[str, str] | None = None) -> tuple[Path, str]:
    """(Docker's log, a PATH with it); `parts`: service -> state, as Compose names them."""
    program = clone.parent / "docker-bin" / "docker"
    program.parent.mkdir()
    listed = json.dumps([{"Service": name, "State": state} for name, state in (parts or {}).items()])
    program.write_text(DOCKER.format(plugin=plugin, up=up, parts=listed))
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
    log, path = docker(clone, parts={"controller": state})
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = mlbutler(clone, "up", "--port", str(port), PATH=path)
    assert done.returncode == code, done.stderr
    assert (" up " in log.read_text()) is (state == "running")  # ours: it is brought up to the files


@pytest.mark.parametrize(
    ("states", "part", "state"),
    [
        ({"controller": "restarting"}, "controller", "restarting"),
        ({"agent": "restarting"}, "agent", "restarting"),
        ({"docker": "exited"}, "docker", "exited"),
        ({"controller": "running", "own": "exited"}, "", ""),  # a service of the user's own may end
    ],
)
def test_a_container_that_ends_is_shown_at_once(clone: Path, states: dict[str, str], part: str, state: str) -> None:
    all_run = {"controller": "running", "agent": "running", "docker": "running"}
    _, path = docker(clone, up=0, parts=all_run | states)
    waits = () if part else ("--timeout", "1")
    done = mlbutler(clone, "up", "--port", str(free_port()), *waits, PATH=path)
    assert done.returncode == 3
    said = f"the {part} is {state}" if part else "the controller did not answer within 1.0 s"
    assert f"Jenkins did not start: {said}." in done.stderr
    assert f"this is the log of {part or 'controller'}" in done.stderr
    assert f"logs {part or 'controller'}" in done.stderr.splitlines()[-1]


def test_down_keeps_the_volumes_unless_told(clone: Path) -> None:
    log, path = docker(clone, parts={"controller": "running"})
    mlbutler(clone, "up", PATH=path)
    assert mlbutler(clone, "down", PATH=path).returncode == 0
    assert log.read_text().splitlines()[-1].endswith(" down")
    assert mlbutler(clone, "down", "--all", PATH=path).returncode == 0
    assert log.read_text().splitlines()[-1].endswith(" down --volumes")
    assert list((clone.parent / "data").rglob("secrets/ADMIN_PASSWORD"))


def test_half_a_credential_stops_it_and_names_the_file(clone: Path) -> None:
    _, path = docker(clone, parts={"controller": "running"})
    mlbutler(clone, "up", PATH=path)
    (folder,) = (clone.parent / "data").rglob("secrets")
    (folder / "GIT_USERNAME").write_text("bot")
    done = mlbutler(clone, "up", PATH=path)
    assert done.returncode == 2
    assert "mlbutler-git is not complete: GIT_TOKEN is missing" in done.stderr
    assert str(folder / "GIT_TOKEN") in done.stderr


def test_without_the_password_the_status_says_so(clone: Path) -> None:
    _, path = docker(clone, parts={"controller": "running"})
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
        (("up", "--url", "/srv/repo.git"), "not an address on a network"),
        (("up", "--label", "a;b"), "are not labels"),
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
    (clone / "Jenkinsfile").write_text("@Library('mlbutler') _\nmlbutlerPipeline(remote: 's3')\n")
    controller.job = "digits"
    other = mlbutler(clone, "validate", "--url", controller.url, **login)
    assert other.returncode == 0, other.stdout + other.stderr
    assert "valid, checked offline and by the controller (no declarative pipeline: its syntax alone)" in other.stdout
    denied = mlbutler(clone, "validate", "--url", controller.url, **(login | {"MLBUTLER_JENKINS_TOKEN": "wr0ng-token"}))
    assert denied.returncode == 3
    assert "wr0ng-token" not in denied.stdout + denied.stderr
