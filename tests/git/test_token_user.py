"""The user name that git gives beside a token, as a server gets it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlbutler.git import Git
from mlbutler.git import address as git_address
from mlbutler.git.address import RemoteAccess
from tests.conftest import GitCommand
from tests.git_server import GitServer

API_TOKEN, ACCESS_TOKEN = "ATATT3x" + "planted0123", "ATCTT3x" + "planted0123"


@pytest.mark.parametrize("named", ["MLBUTLER_GIT_USERNAME", "GIT_USERNAME"])
@pytest.mark.parametrize(("token", "user", "given"), [
    (API_TOKEN, "", "x-bitbucket-api-token-auth"), (API_TOKEN, "ada@example.org", "x-bitbucket-api-token-auth"),
    (API_TOKEN, "ada", "ada"), (ACCESS_TOKEN, "", "x-token-auth"), (ACCESS_TOKEN, "ada", "ada"),
    ("another-token", "", "git"), ("another-token", "ada@example.org", "ada@example.org"),
])  # fmt: skip
def test_the_server_is_given_the_user_that_the_token_goes_with(
    tmp_path: Path, git: GitCommand, named: str, token: str, user: str, given: str
) -> None:
    git(tmp_path, "init", "-q", "--bare", "-b", "main", str(tmp_path / "origin.git"))
    git(tmp_path, "clone", "-q", str(tmp_path / "origin.git"), str(tmp_path / "clone"))
    git(tmp_path / "clone", "commit", "-q", "--allow-empty", "-m", "one")
    server = GitServer(tmp_path, given, token)
    secret = "MLBUTLER_GIT_TOKEN" if named.startswith("MLBUTLER") else "GIT_PASSWORD"
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), named: user, secret: token}
    at = git_address.parse_git_address(f"{server.url}/origin.git")
    try:
        assert Git(tmp_path / "clone", environ, RemoteAccess(at, fresh=False)).remote_refs("origin") == {}
        if secret == "MLBUTLER_GIT_TOKEN":  # on one's own machine, where git reads the clone's settings
            git(tmp_path / "clone", "remote", "set-url", "origin", f"{server.url}/origin.git")
            assert Git(tmp_path / "clone", environ).remote_refs("origin") == {}
    finally:
        server.close()
