"""What is secret, and that it is hidden."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbutler.secrets import HIDDEN, Redactor, is_secret_name, secret_values, without_credentials, without_userinfo


@pytest.mark.parametrize(
    "name",
    ["GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "MLBUTLER_REMOTE_PASSWORD", "DAGSHUB_USER_TOKEN",
     "npm_auth_token", "DB_PASSWD", "MY_API_KEY", "GIT_ASKPASS", "AZURE_STORAGE_SAS", "SSH_AUTH_SOCK"],
)  # fmt: skip
def test_names_that_hold_credentials(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["PATH", "HOME", "CUDA_VISIBLE_DEVICES", "AWS_DEFAULT_REGION", "BRANCH_NAME", "LANG"])
def test_names_that_do_not(name: str) -> None:
    assert not is_secret_name(name)


def test_a_stage_s_environment_holds_no_credential_under_any_name() -> None:
    environ = {
        "PATH": "/bin",
        "DEPLOY_TOKEN": "s3cr3t-value",
        "HARMLESS": "prefix s3cr3t-value suffix",
        "PROXY": "http://user:pw@proxy:3128",
        "KEPT_TOKEN": "wanted by the stage",
    }
    secrets = secret_values({"DEPLOY_TOKEN": "s3cr3t-value"})
    assert without_credentials(environ, secrets, keep=["KEPT_TOKEN"]) == {
        "PATH": "/bin",
        "KEPT_TOKEN": "wanted by the stage",
    }


_LETTERS = st.text(alphabet="ABC123/+=%&é", min_size=6)


@given(_LETTERS, _LETTERS, _LETTERS)
def test_a_known_secret_never_survives(secret: str, before: str, after: str) -> None:
    hidden = Redactor([secret]).hide(f"{before}|{secret}|{after}")
    assert secret not in hidden
    assert HIDDEN in hidden


@pytest.mark.parametrize(
    "text",
    [
        "AKIAABCDEFGHIJKLMNOP",
        "ghp_" + "a" * 36,
        "glpat-" + "b" * 20,
        "hf_" + "c" * 34,
        "https://ada:hunter2@host/x.git",
    ],
)
def test_what_looks_like_a_credential_is_hidden_although_nobody_named_it(text: str) -> None:
    assert HIDDEN in Redactor(()).hide(f"see {text} there")
    assert "hunter2" not in Redactor(()).hide(text)


def test_a_quoted_secret_is_hidden_too() -> None:
    assert "p%40ss%2Fword" not in Redactor(["p@ss/word"]).hide("GET /?t=p%40ss%2Fword")


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://user:pw@host:8443/x.git", "https://host:8443/x.git"),
        ("git@host:owner/x.git", "git@host:owner/x.git"),
        ("/srv/git/x.git", "/srv/git/x.git"),
    ],
)
def test_a_url_loses_its_user_information(url: str, clean: str) -> None:
    assert without_userinfo(url) == clean
