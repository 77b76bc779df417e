"""A fork's change: what the process itself does without."""

from __future__ import annotations

import os

import pytest

from mlbutler.anonymous import anonymous
from mlbutler.ci import ADAPTERS, facts
from mlbutler.ci.servers import SERVERS
from mlbutler.ci.unknown import _MARKS
from mlbutler.git.address import RemoteAccess, parse_git_address
from mlbutler.held_back import in_ci
from tests.test_allowed_variables import CREDENTIALS, GIVEN

AGENT = {
    "SSH_AUTH_SOCK": "/run/agent-22-uuuu", "GIT_ASKPASS": "/run/askpass-23-vvvv", "GIT_PASSWORD": "planted-24-wwww",
    "GIT_SSH_COMMAND": "ssh -i /run/key-25-xxxx", "MLBUTLER_REMOTE_PASSWORD": "planted-26-yyyy", "DEPLOY": "planted-27",
    "MLBUTLER_GIT_URL": "https://ci:planted-28-zzzz@git.example/x.git", "AWS_PROFILE": "planted-29",
    "RCLONE_CONFIG_X": "planted-30", "FSSPEC_S3": '{"key": "planted-31"}', "PGSERVICE": "planted-32",
}  # fmt: skip


def test_no_credential_is_left_whatever_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (GIVEN | CREDENTIALS | AGENT | {"MLBUTLER_DATA_MIRROR": "/mirror"}).items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    with anonymous() as left:
        assert dict(os.environ) == left
        held = {value for name, value in (CREDENTIALS | AGENT).items() if name != "WORKSPACE_TMP"}
        assert not [name for name, value in left.items() if any(secret in value for secret in held)]
        assert {name: left.get(name) for name in GIVEN if name not in ("PYTHONDONTWRITEBYTECODE",)} == {
            name: value for name, value in GIVEN.items() if name not in ("PYTHONDONTWRITEBYTECODE",)
        } | {"DVC_NO_ANALYTICS": "1"}
        assert left["MLBUTLER_DATA_MIRROR"] == "/mirror"
        assert facts(left) == facts(before)
    assert dict(os.environ) == before


@pytest.mark.parametrize("name", [*(name for server in SERVERS for name in server.marks), *_MARKS])
def test_a_ci_server_is_still_told_from_a_laptop(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    server = next((server for server in SERVERS if name in server.marks), None)
    for mark, value in (server.marks if server is not None else {name: ""}).items():
        monkeypatch.setenv(mark, value or "x1")
    known = {kind for kind, adapter in ADAPTERS.items() if adapter.read_facts(os.environ) is not None}
    with anonymous() as left:
        assert in_ci(left)
        assert {kind for kind, adapter in ADAPTERS.items() if adapter.read_facts(left) is not None} == known


def test_the_password_of_the_repository_s_address_is_not_used() -> None:
    access = RemoteAccess(parse_git_address("https://ci:hunter2@git.example/x.git"), fresh=True)
    assert access.address is not None and access.address.password == "hunter2"
    address = access.without_password().address
    assert address is not None and (address.url, address.password) == ("https://git.example/x.git", "")
    assert RemoteAccess(None, fresh=True).without_password() == RemoteAccess(None, fresh=True)
