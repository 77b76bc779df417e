"""The controller's configuration, against what the plugins are known to take; and what Compose makes of it all."""

from __future__ import annotations

import base64
import copy
import functools
import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from mlbutler.jenkins.server.casc import jenkins_yaml
from mlbutler.jenkins.server.compose import Compose
from mlbutler.jenkins.server.credentials import (
    GIVEN,
    KNOWN_HOSTS,
    JenkinsCredential,
    given_credentials,
    mounted_files,
    prepare,
)
from mlbutler.jenkins.server.job import SOURCES
from mlbutler.jenkins.server.model import JenkinsServer
from mlbutler.jenkins.server.source import repository
from mlbutler.scaffold.detect import detect_project
from mlbutler.scaffold.options import ScaffoldOptions
from mlbutler.scaffold.render import render_files
from tests.jenkins.casc_schema import SCHEMA, TRAITS
from tests.scaffold.projects import KINDS, make

HOST_KEY = f"ssh-ed25519 {base64.b64encode(bytes(range(51))).decode()} mlbutler"
PLACES = {
    "git": ["https://git.example.org/team/digits.git", "ssh://git@git.example.org:2222/team/digits.git"],
    "github": ["https://github.com/team/digits.git", "https://github.example.org/team/digits.git"],
    "gitlab": ["https://gitlab.com/team/sub/digits.git", "git@gitlab.example.org:team/digits.git"],
    "gitea": ["https://codeberg.org/team/digits.git", "http://localhost:3000/team/digits.git"],
    "bitbucket": ["https://bitbucket.org/team/digits.git", "https://bitbucket.example.org/team/digits.git"],
    "dagshub": ["https://dagshub.com/team/digits.git"],
}
CASES = [(source, url) for source, urls in PLACES.items() for url in urls]


def errors(config: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}"[:300] for error in Draft202012Validator(SCHEMA).iter_errors(config)]


def load_configuration(
    home: Path, source: str, url: str, credentials: tuple[JenkinsCredential, ...] = GIVEN, *, ssh: bool = True,
    known_hosts: bool = False,
) -> Any:  # fmt: skip
    server = JenkinsServer(name="digits", home=home, repository=repository(url, source))
    text = jenkins_yaml(server, credentials, host_key=HOST_KEY if ssh else None, known_hosts=known_hosts)
    return yaml.safe_load(text)


def test_every_source_is_tried() -> None:
    assert set(PLACES) == set(SOURCES) == set(TRAITS)
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(("source", "url"), CASES)
def test_nothing_stands_in_it_that_no_plugin_is_known_to_take(tmp_path: Path, source: str, url: str) -> None:
    for credentials, ssh, known_hosts in itertools.product([(), GIVEN], [True, False], [True, False]):
        assert errors(load_configuration(tmp_path, source, url, credentials, ssh=ssh, known_hosts=known_hosts)) == []


@pytest.mark.parametrize("credential", GIVEN, ids=lambda credential: credential.id)
@pytest.mark.parametrize("ssh", [True, False])
def test_every_credential_reads_its_own_files(tmp_path: Path, credential: JenkinsCredential, ssh: bool) -> None:
    config = load_configuration(tmp_path, "github", PLACES["github"][0], (credential,), ssh=ssh)
    assert errors(config) == []
    (kept, *_) = config["credentials"]["system"]["domainCredentials"][0]["credentials"]
    ((_, entry),) = kept.items()
    assert (entry["id"], entry["scope"]) == (credential.id, "GLOBAL")
    folder = "/run/secrets" if ssh else str(tmp_path / "secrets")
    read = [f"${{{name}}}" for name in credential.files]
    if credential.kind == "file":
        read = [f"${{readFileBase64:{folder}/{name}}}" for name in credential.files]
    assert set(read) == set(re.findall(r"\$\{[^}]*\}", json.dumps(entry)))


def test_a_jenkinsfile_asks_for_no_credential_that_the_server_cannot_be_given(tmp_path: Path) -> None:
    known = {credential.id: credential.kind for credential in GIVEN}
    kinds = {"usernamePassword": "password", "gitUsernamePassword": "password", "sshUserPrivateKey": "key",
             "string": "text", "file": "file"}  # fmt: skip
    asked = set[tuple[str, str]]()
    for name, kind in KINDS.items():
        script = render_files(detect_project(make(tmp_path / name, kind), {})[1], ScaffoldOptions())["Jenkinsfile"]
        bound = re.findall(r"(\w+)\(credentialsId: '([^']+)'", script)
        asked |= {(wanted, kinds[binding]) for binding, wanted in bound}
    assert len(asked) >= 7
    assert asked <= set(known.items())


@pytest.mark.parametrize(("source", "url"), CASES)
def test_the_jobs_classes_are_those_of_the_plugins(tmp_path: Path, source: str, url: str) -> None:
    script = load_configuration(tmp_path, source, url)["jobs"][0]["script"].replace("^${", "${")
    named = re.findall(r"'([a-z][\w.]*\.\w*Trait(?:\$\w+)?)'", script)
    assert {name.replace("__", "_") for name in named} == TRAITS[source]  # as XStream writes elements' names


def test_what_does_not_belong_is_found(tmp_path: Path) -> None:
    """The schema itself: each of these stops a real controller's start."""
    good = load_configuration(tmp_path, "gitlab", PLACES["gitlab"][1], known_hosts=True)
    assert errors(good) == []
    for break_it in _broken():
        bad = copy.deepcopy(good)
        break_it(bad)
        assert errors(bad)


def _broken() -> Iterator[Callable[[Any], object]]:
    yield lambda c: c["jenkins"].update(executors=0)
    yield lambda c: c["jenkins"]["nodes"][0]["permanent"].update(labels="docker")
    yield lambda c: c["jenkins"]["nodes"][0]["permanent"]["launcher"]["ssh"].update(port="22")
    yield lambda c: c["jenkins"]["authorizationStrategy"]["globalMatrix"].update(permissions=["Overall/Read:all"])
    yield lambda c: c["security"].update(gitHostKeyVerification={})
    yield lambda c: c["unclassified"]["gitLabServers"]["servers"][0].update(url="https://gitlab.example.org")
    yield lambda c: c["credentials"]["system"]["domainCredentials"][0]["credentials"][0]["usernamePassword"].update(
        password="in clear text"
    )
    yield lambda c: c.pop("jobs")


# ------------------------------------------------------------------------------------------ compose


@functools.cache
def _compose() -> tuple[str, ...]:
    """Compose's command line: the plugin, or the program that it was before; () where neither is."""
    for command in (("docker", "compose"), ("docker-compose",)):
        version = [*command, "version"]
        if shutil.which(command[0]) and not subprocess.run(version, capture_output=True, check=False).returncode:
            return command
    return ()


@pytest.mark.parametrize(("source", "url"), CASES)
@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_compose_reads_its_file_as_it_is_meant(tmp_path: Path, source: str, url: str, address: str) -> None:
    if not _compose():
        pytest.skip("Docker Compose is not installed")
    found = repository(url, source)
    server = JenkinsServer(name="digits", home=tmp_path / "server", repository=found, address=address, port=8091)
    prepare(server.secrets)
    for name in (KNOWN_HOSTS, *(name for credential in GIVEN for name in credential.files)):
        (server.secrets / name).write_text(f"secret-of-{name}")
    Compose(server).write()
    done = subprocess.run(
        [*_compose(), "-p", server.compose_name, "config"], cwd=server.home, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")  # no warning either
    assert "secret-of-" not in done.stdout
    read = yaml.safe_load(done.stdout)
    (port,) = read["services"]["controller"]["ports"]
    if isinstance(port, dict):
        port = f"{port['host_ip']}:{port['published']}:{port['target']}/{port['protocol']}"
    assert port == f"{address}:8091:8080/tcp"
    assert [name for name, service in read["services"].items() if service.get("ports")] == ["controller"]
    there = {secret["source"] for secret in read["services"]["controller"]["secrets"]}
    assert there == set(mounted_files(server.secrets))
    config = (server.home / "casc" / "jenkins.yaml").read_text()
    wanted = set(re.findall(r"(?<!\^)\$\{(?:readFileBase64:/run/secrets/)?([A-Z0-9_]+)\}", config))
    assert wanted == there  # nothing resolves to nothing, and nothing is mounted for nobody
    assert given_credentials(server.secrets) == GIVEN
    assert errors(yaml.safe_load(config)) == []
