from __future__ import annotations

import dataclasses
import itertools
import re
import tomllib
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mlbutler.errors import UsageError
from mlbutler.jenkins.lint import lint
from mlbutler.jenkins.server.plugins import plugins
from mlbutler.record import REPORTING_STEPS
from mlbutler.run_table import NAMES, run_after
from mlbutler.scaffold.detect import detect_project
from mlbutler.scaffold.detected import ContainerImage, DetectedProject, Remote
from mlbutler.scaffold.image import PROGRAMS
from mlbutler.scaffold.jenkinsfile import _pod
from mlbutler.scaffold.options import ScaffoldOptions, parse_agent
from mlbutler.scaffold.quoting import groovy_string, toml_string
from mlbutler.scaffold.render import render_files
from mlbutler.settings import parse_settings
from tests.scaffold.projects import KINDS, make

AGENTS = {
    "docker": ScaffoldOptions(),
    "label": ScaffoldOptions(agent="label", label="gpu && linux"),
    "kubernetes": ScaffoldOptions(agent="kubernetes", image="registry.example.org/words:1"),
}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DetectedProject]:
    return {name: detect_project(make(tmp_path_factory.mktemp(name), kind), {})[1] for name, kind in KINDS.items()}


@pytest.mark.parametrize(("kind", "agent", "gate"), list(itertools.product(KINDS, AGENTS, ["fail", "unstable"])))
def test_every_file_of_every_kind_is_valid(seen: dict[str, DetectedProject], kind: str, agent: str, gate: str) -> None:
    options = ScaffoldOptions(**{**AGENTS[agent].__dict__, "gate_as": gate})
    files = render_files(seen[kind], options)
    assert set(files) == {"Jenkinsfile", "mlbutler.toml"} | (
        set() if agent == "label" else {"Dockerfile", ".dockerignore"}
    )
    script = files["Jenkinsfile"]
    assert lint(script) == []
    assert len(script.splitlines()) <= 150
    assert max(map(len, script.splitlines())) <= 150
    settings = parse_settings(files["mlbutler.toml"])
    assert settings.project.target == "main"
    assert settings.test.command == tuple(tool.command for tool in seen[kind].tests)
    assert settings.lint.commands == tuple(tool.command for tool in seen[kind].linters)
    assert ("unstable('a gate failed" in script) is (gate == "unstable")


@pytest.mark.parametrize(("kind", "bound"), [
    ("pip", "usernamePassword(credentialsId: 'mlbutler-dvc'"),
    ("pyproject", "usernamePassword(credentialsId: 'mlbutler-s3'"),
    ("conda", "sshUserPrivateKey(credentialsId: 'mlbutler-ssh'"),
    ("uv", "file(credentialsId: 'mlbutler-gs'"),
    ("poetry", "string(credentialsId: 'mlbutler-azure'"),
    ("monorepo", "usernamePassword(credentialsId: 'mlbutler-dvc'"),
])  # fmt: skip
def test_credentials_of_the_remotes_kind_are_bound_by_id(
    seen: dict[str, DetectedProject], kind: str, bound: str
) -> None:
    assert f"def dataAccess() {{ {bound}" in render_files(seen[kind], ScaffoldOptions())["Jenkinsfile"]


def test_a_remote_without_credentials_binds_none(seen: dict[str, DetectedProject]) -> None:
    for kind in ("node", "shell"):
        assert "dataAccess" not in render_files(seen[kind], ScaffoldOptions())["Jenkinsfile"]


def test_git_over_ssh_and_over_https(seen: dict[str, DetectedProject]) -> None:
    assert (
        "sshUserPrivateKey(credentialsId: 'mlbutler-git-ssh'"
        in render_files(seen["conda"], ScaffoldOptions())["Jenkinsfile"]
    )
    assert (
        "gitUsernamePassword(credentialsId: 'mlbutler-git'"
        in render_files(seen["pip"], ScaffoldOptions())["Jenkinsfile"]
    )


@pytest.mark.parametrize("agent", AGENTS)
def test_the_projects_own_code_runs_without_credentials(seen: dict[str, DetectedProject], agent: str) -> None:
    script = render_files(seen["pip"], AGENTS[agent])["Jenkinsfile"]
    for step in ("test", "lint", "reproduce", "report"):
        (line,) = re.findall(rf".*'mlbutler {step}'.*", script)
        assert "with" not in line.replace("without", "")


@pytest.mark.parametrize("gate", ["fail", "unstable"])
def test_what_may_follow_a_failure_does(seen: dict[str, DetectedProject], gate: str) -> None:
    """The Jenkinsfile is held to the run's own table."""
    script = render_files(seen["pip"], ScaffoldOptions(agent="label", label="any", gate_as=gate))["Jenkinsfile"]
    steps = [name for name in NAMES if name not in REPORTING_STEPS]
    commands = {name: "judge()" if (name, gate) == ("compare", "unstable") else f"'mlbutler {name}'" for name in steps}
    lines = {name: next(line for line in script.splitlines() if command in line) for name, command in commands.items()}
    assert {name for name, line in lines.items() if "failLater {" not in line} == {
        name for name in steps if set(run_after(name)) <= set(REPORTING_STEPS)
    }  # fmt: skip
    in_order = [name for name in steps if name not in ("plan", "test", "lint")]
    assert [name for name in re.findall(r"stage\('(\w+)'\)", script) if name in in_order] == in_order


@pytest.mark.parametrize(("agent", "mounted"), [
    ("docker", "-v /mirror:/mirror${env.CHANGE_FORK ? ':ro' : ''}"),
    ("kubernetes", '{name: mirror, mountPath: /mirror, readOnly: ${env.CHANGE_FORK != null}}'),
])  # fmt: skip
def test_a_fork_cannot_write_the_mirror(seen: dict[str, DetectedProject], agent: str, mounted: str) -> None:
    assert mounted in render_files(seen["pip"], AGENTS[agent])["Jenkinsfile"]


def test_no_program_in_a_container_makes_its_user_another(seen: dict[str, DetectedProject]) -> None:
    script = render_files(seen["pip"], AGENTS["docker"])["Jenkinsfile"]
    for option in ("--init", "--security-opt no-new-privileges", "--cap-drop ALL", "--pids-limit 4096"):
        assert option in script
    pod = yaml.safe_load(_pod(AGENTS["kubernetes"], "/mirror").replace("${env.CHANGE_FORK != null}", "true"))["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def test_a_pod_gets_a_card_and_shared_memory() -> None:
    options = dataclasses.replace(AGENTS["kubernetes"], gpu=True, shm_size="512M")
    pod = yaml.safe_load(_pod(options, "/mirror").replace("${env.CHANGE_FORK != null}", "true"))["spec"]
    assert pod["containers"][0]["resources"] == {"limits": {"nvidia.com/gpu": 1}}
    assert {"name": "shm", "mountPath": "/dev/shm"} in pod["containers"][0]["volumeMounts"]
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "512Mi"}} in pod["volumes"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_image_has_what_its_plugins_run_in_it(seen: dict[str, DetectedProject], kind: str) -> None:
    """Docker Pipeline finds and ends processes with `ps` and `kill`; Durable Task runs a step by the others."""
    needed = {"cat", "env", "ps", "kill", "sh", "nohup", "touch", "sleep", "mv"}
    assert needed <= set(PROGRAMS)
    docker = render_files(seen[kind], ScaffoldOptions())["Dockerfile"]
    (line,) = re.findall(r"apt-get install --yes --no-install-recommends (.*ca-certificates.*) \\", docker)
    always = {"coreutils", "dash"}  # no Debian is without
    assert set(PROGRAMS.values()) <= set(line.split()) | always


def test_an_image_is_labelled_with_its_project(seen: dict[str, DetectedProject]) -> None:
    assert 'LABEL mlbutler.project="words"' in render_files(seen["pip"], ScaffoldOptions())["Dockerfile"]
    found = dataclasses.replace(seen["pip"], name='x" RUN=1\n$HOME')
    assert 'LABEL mlbutler.project="x--RUN-1--HOME"' in render_files(found, ScaffoldOptions())["Dockerfile"]


def test_what_the_image_is_made_of_is_read_as_the_target_branch_has_it(seen: dict[str, DetectedProject]) -> None:
    found = dataclasses.replace(seen["pip"], folder="sub")
    script = render_files(found, ScaffoldOptions())["Jenkinsfile"]
    (line,) = [line for line in script.splitlines() if line.startswith("def imageFiles()")]
    named = re.findall(r"'([^']+)'", line)
    assert named[:2] == ["sub/Dockerfile", "sub/.dockerignore"]
    assert set(named[2:]) == {f"sub/{file}" for file in found.image.files}
    assert script.index("agreed()") < script.index("dockerfile {")


def test_reviewers_are_told_before_anything_else_and_what_may_be_missing_comes_last(
    seen: dict[str, DetectedProject],
) -> None:
    """A plugin that is not installed, or the next build that aborts this one, costs the least."""
    script = render_files(seen["pip"], ScaffoldOptions())["Jenkinsfile"]
    after = script[script.index("always {") :]
    order = ["mlbutler report", "mlbutler publish", "junit ", "publishHTML", "archiveArtifacts ", "recordIssues "]
    assert sorted(order, key=after.index) == order


def test_the_pinned_plugins_have_every_step_that_a_jenkinsfile_takes(seen: dict[str, DetectedProject]) -> None:
    steps = {
        "junit": "junit", "publishHTML": "htmlpublisher", "recordIssues": "warnings-ng",
        "dockerfile": "docker-workflow", "withCredentials": "credentials-binding", "gitUsernamePassword": "git",
        "sshUserPrivateKey": "ssh-credentials",
    }  # fmt: skip
    for found in seen.values():
        script = render_files(found, ScaffoldOptions())["Jenkinsfile"]
        taken = {plugin for step, plugin in steps.items() if re.search(rf"\b{step}\b", script)}
        assert taken <= set(plugins(found.forge or "git"))


def test_forks_are_given_nothing_until_their_commit_is_approved(seen: dict[str, DetectedProject]) -> None:
    script = render_files(seen["pip"], ScaffoldOptions())["Jenkinsfile"]
    asking, others = re.findall("withCredentials.*", script)
    assert "[forgeAccess()]" in asking
    assert "mlbutler approve --check" in script
    assert "env.CHANGE_FORK && !env.MLBUTLER_APPROVED ? body() : withCredentials(access, body)" in script
    assert "withCredentials(access, body)" in others


def test_a_project_in_a_folder(seen: dict[str, DetectedProject]) -> None:
    script = render_files(seen["monorepo"], ScaffoldOptions())["Jenkinsfile"]
    assert "MLBUTLER_CHDIR = 'teams/vision é'" in script
    assert "dir 'teams/vision é'" in script
    assert "reportDir: 'teams/vision é/.mlbutler/report'" in script


def test_jenkins_counts_the_tests_of_the_project_alone(seen: dict[str, DetectedProject]) -> None:
    for name, found in seen.items():
        script = render_files(found, ScaffoldOptions())["Jenkinsfile"]
        files = found.junit if found.configured else [tool.junit for tool in found.tests if tool.junit]
        named = ", ".join(f"{found.folder}/{file}" if found.folder else file for file in files)
        assert re.findall(r"testResults: '(.*)'", script) == ([named] if files else []), name
        assert bool(files) == ("JUnit" in script.split("pipeline {")[0]), name
    assert seen["pip"].tests[0].junit == ".mlbutler/junit.xml"


def test_the_image_lets_in_what_it_is_built_from_and_runs_as_the_agents_user(seen: dict[str, DetectedProject]) -> None:
    files = render_files(
        seen["pip"], ScaffoldOptions(mirror="/srv/mirror", requirement="mlbutler @ https://example.org/m.whl")
    )
    docker = files["Dockerfile"]
    assert docker.splitlines()[2] == "FROM python:3.12-slim-bookworm"
    assert "ARG MLBUTLER='mlbutler @ https://example.org/m.whl'" in docker
    assert docker.index("COPY requirements.txt more.txt ./") < docker.index("-r requirements.txt")
    assert "pip install --no-cache-dir flake8" in docker
    assert docker.index("USER butler") > docker.index("useradd")
    assert "HOME=/home/butler" in docker
    let_in = [line for line in files[".dockerignore"].splitlines() if line.startswith("!")]
    assert let_in == ["!requirements.txt", "!more.txt"]
    assert "MLBUTLER_DATA_MIRROR = '/srv/mirror'" in files["Jenkinsfile"]
    assert "-v /srv/mirror:/srv/mirror" in files["Jenkinsfile"]


def test_another_dockerfile_has_an_ignore_file_of_its_own(seen: dict[str, DetectedProject]) -> None:
    files = render_files(seen["pip"], ScaffoldOptions(), "Dockerfile.mlbutler")
    assert {"Dockerfile.mlbutler", "Dockerfile.mlbutler.dockerignore"} < set(files)
    assert "filename 'Dockerfile.mlbutler'" in files["Jenkinsfile"]


@pytest.mark.parametrize(("text", "parsed"), [
    ("docker", ("docker", "docker")), ("kubernetes", ("kubernetes", "docker")), ("label:gpu", ("label", "gpu")),
    ("label:gpu && linux", ("label", "gpu && linux")),
])  # fmt: skip
def test_agents(text: str, parsed: tuple[str, str]) -> None:
    assert parse_agent(text) == parsed


@pytest.mark.parametrize("text", ["", "podman", "label", "label:", "docker:x", "label:a'; sh 'x", "label:a\nb"])
def test_agents_that_there_are_not(text: str) -> None:
    with pytest.raises(UsageError):
        parse_agent(text)


@given(st.text(max_size=40))
def test_any_text_stays_a_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    assert tomllib.loads(f"x = {toml_string(text)}")["x"] == text
    literal = groovy_string(text)
    assert re.fullmatch(r"'(?:[^'\\\n\r]|\\.)*'", literal, re.DOTALL)


@pytest.mark.parametrize("options", [
    {"mirror": "mirror"}, {"mirror": "/a b"}, {"mirror": "/a:/etc"}, {"mirror": '/a"${x}'}, {"mirror": "/a\n"},
    {"agent": "kubernetes", "image": "x: y"}, {"agent": "kubernetes", "image": "a\n      securityContext: {}"},
    {"agent": "kubernetes", "image": "${env.X}"}, {"shm_size": "8g --privileged"},
    {"shm_size": "0g"}, {"shm_size": "8 g"},
])  # fmt: skip
def test_what_cannot_stand_in_a_jenkinsfile_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        ScaffoldOptions(**options)


def test_hostile_names_stay_names() -> None:
    evil = "x'; sh 'touch /tmp/pwned'; '"
    image = ContainerImage("shell", "debian:12")
    found = DetectedProject(
        "x", folder=evil, remote=Remote(evil, "http"), target=evil, gated=evil, predictions=evil, image=image
    )
    files = render_files(found, ScaffoldOptions())
    assert lint(files["Jenkinsfile"]) == []
    assert not re.search(r"(?<!\\)'; sh", files["Jenkinsfile"])
    assert parse_settings(files["mlbutler.toml"]).project.target == evil
