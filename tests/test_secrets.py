"""What is secret, and that it is hidden."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbutler.secrets import (
    HIDDEN,
    LineRedactor,
    Redactor,
    is_secret_name,
    secret_values,
    without_credentials,
    without_userinfo,
)


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


@pytest.mark.parametrize(("text", "secret"), [
    ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "wJalr"),
    ("db password=hunterhunter and more", "hunterhunter"),
    ("password: hunter2hunter2", "hunter2"),
    ('{"api_key": "0123456789abcdef"}', "0123456789abcdef"),
    ("export HF_TOKEN=abcdefghijklmnopqrstuvwxyz", "abcdefghijkl"),
    ("Authorization: Bearer abc.def.ghi123456789", "ghi123456789"),
    ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3", "dozjgNryP4J3"),
    ('"-----BEGIN PRIVATE KEY-----\\nMIIEvQ\\nabc=\\n-----END PRIVATE KEY-----\\n"', "MIIEvQ"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKC\n-----END RSA PRIVATE KEY-----", "MIIEowIBAAKC"),
])  # fmt: skip
def test_what_stands_after_a_credential_s_name_is_hidden(text: str, secret: str) -> None:
    hidden = Redactor(()).hide(text)
    assert HIDDEN in hidden
    assert secret not in hidden
    assert Redactor(()).hide(hidden) == hidden


@pytest.mark.parametrize("text", [
    "pad_token=<|endoftext|>", "eos_token: '<|im_end|>'", "max_new_tokens=4096, tokens: 123456789", "token 12345678",
    "could not read Password: terminal prompts disabled", "password=$DB_PASSWORD", "password: required",
    "Set MLBUTLER_REMOTE_ORIGIN_USER and MLBUTLER_REMOTE_ORIGIN_PASSWORD.", "secret santa: 12 of 13 files",
    "sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "key=0123456789abcdef",
    "epoch: 10 loss=0.1234567890", "loss_per_token: 0.6931471805599453, step 2",
    '{"nll_per_token": 1.234567890123456e-05}', "bits_per_token=-1.0986122886681098.",
])  # fmt: skip
def test_words_that_only_sound_like_it_stay(text: str) -> None:
    assert Redactor(()).hide(text) == text


@pytest.mark.parametrize("piece", [
    "password:", "eyJ-", "eyJabcdefghij.", "-----BEGIN PRIVATE KEY-----", "-----BEGIN ", "a.", "http://a:", "x_token=",
    "secret ", "Bearer ", "AKIA",
])  # fmt: skip
@pytest.mark.parametrize("end", ["", "://", "-----END"])
def test_a_long_line_that_never_becomes_a_secret_takes_no_time(piece: str, end: str) -> None:
    """A stage can print any: the build must not stand still for it."""
    line = piece * (200_000 // len(piece)) + end
    began = time.process_time()
    LineRedactor(Redactor(())).hide(line)
    assert time.process_time() - began < 2.0


_NAMES = ["password=", '"api_key": "', "x_token: ", "Bearer ", "-----BEGIN PRIVATE KEY-----\n"]


@given(st.text(), st.sampled_from(_NAMES))
def test_json_that_holds_a_secret_stays_json(text: str, name: str) -> None:
    said = json.dumps({"line": f"{text}{name}{text}0123456789abcdef{text}"})
    assert isinstance(json.loads(Redactor(()).hide(said))["line"], str)


def test_a_private_key_is_hidden_line_by_line_and_what_comes_after_it_is_not() -> None:
    lines = ["loading", "-----BEGIN RSA PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED", "", "MIIEowIBAAKCAQEA0Z3V",
             "ab==", "-----END RSA PRIVATE KEY-----", "epoch", "MIIEowIBAAKCAQEA0Z3V"]  # fmt: skip
    hide = LineRedactor(Redactor(())).hide
    assert [hide(line) for line in lines] == ["loading", *[HIDDEN] * 6, "epoch", "MIIEowIBAAKCAQEA0Z3V"]
    assert [hide(line) for line in (lines[1], "no key after all", "MIIE")] == [HIDDEN, "no key after all", "MIIE"]


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
