"""What the project's own code is given of a CI server's environment, and what is hidden of the rest."""

from __future__ import annotations

import pytest

from mlbutler.held_back import held_back_names, in_ci, values_to_hide
from mlbutler.process import output_redactor, project_environment
from mlbutler.secrets import HIDDEN, Redactor

JENKINS = {"JENKINS_URL": "http://jenkins.example/", "BUILD_URL": "http://jenkins.example/job/x/1/", "CHANGE_ID": "7"}
GIVEN = {
    "PATH": "/opt/conda/bin:/usr/bin", "HOME": "/home/ci-bot", "USER": "ci-bot", "SHELL": "/bin/bash", "TERM": "xterm",
    "LANG": "de_DE.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "Europe/Berlin", "TMPDIR": "/scratch", "LD_LIBRARY_PATH": "/lib",
    "PYTHONPATH": "src", "PYTHONHASHSEED": "0", "VIRTUAL_ENV": "/venv", "CONDA_PREFIX": "/opt/conda",
    "CUDA_VISIBLE_DEVICES": "0,1", "NVIDIA_VISIBLE_DEVICES": "all", "HIP_VISIBLE_DEVICES": "0",
    "OMP_NUM_THREADS": "4", "MKL_NUM_THREADS": "4", "TF_CPP_MIN_LOG_LEVEL": "2", "TOKENIZERS_PARALLELISM": "false",
    "https_proxy": "http://proxy:3128", "NO_PROXY": "localhost", "SSL_CERT_FILE": "/etc/ssl/own.pem",
    "BUILD_NUMBER": "12", "BRANCH_NAME": "PR-7", "CHANGE_BRANCH": "better-rates", "CHANGE_AUTHOR": "ada lovelace",
    "GIT_COMMIT": "0123456789abcdef", "GITHUB_SHA": "0123456789abcdef", "CI_COMMIT_SHA": "0123456789abcdef",
    "DVC_NO_ANALYTICS": "1", "PYTHONDONTWRITEBYTECODE": "1", **JENKINS,
}  # fmt: skip
CREDENTIALS = {
    "REGISTRY_USR": "registry-user-1", "REGISTRY_PSW": "planted-02-aaaa", "NEXUS_PASS": "planted-03-bbbb",
    "OPENAI_KEY": "planted-04-cccc", "WANDB_KEY": "planted-05-dddd", "HF_KEY": "planted-06-eeee",
    "SSHPASS": "planted-07-ffff", "JWT": "planted-08-gggg", "SIGNING_KEY": "planted-09-hhhh",
    "DEPLOY_KEY": "planted-10-iiii", "SERVICE_ACCOUNT_JSON": '{"private": "planted-11-jjjj"}',
    "MYTHING": "planted-12-kkkk", "TF_VAR_db": "planted-13-llll", "CI_JOB_TOKEN": "planted-14-mmmm",
    "SLACK": "https://hooks.example/planted-15-nnnn", "PIP_EXTRA_INDEX_URL": "https://u:planted-16-oooo@host/",
    "http_proxy": "http://u:planted-17-pppp@proxy", "POETRY_HTTP_BASIC_X_USERNAME": "planted-18-qqqq",
    "PIP_INDEX_URL": "https://planted-22-uuuu@host/simple",
    "SLURM_JWT": "planted-19-rrrr", "PYTHON_INDEX_TOKEN": "planted-20-ssss", "GITHUB_ENV": "/runner/set_env_1",
    "CI_REPOSITORY_URL": "https://gitlab-ci-token:planted-21-tttt@gl/x.git", "WORKSPACE_TMP": "/ws@tmp",
}  # fmt: skip


def test_the_project_s_code_is_given_what_is_written_here_and_nothing_else() -> None:
    settings = {"MLBUTLER_DATA_MIRROR": "/mirror", "MLBUTLER_REMOTE_USER": "dvc-user"}
    environ = GIVEN | CREDENTIALS | settings
    assert project_environment(environ) == GIVEN
    assert held_back_names(environ) == tuple(sorted(CREDENTIALS))  # a missing variable is found; our settings are none


@pytest.mark.parametrize("name", sorted(set(CREDENTIALS) - {"GITHUB_ENV", "WORKSPACE_TMP"}))
def test_all_that_is_held_back_is_hidden(name: str) -> None:
    environ = GIVEN | CREDENTIALS
    value = CREDENTIALS[name]
    assert value not in Redactor(values_to_hide(environ)).hide(f"a log says {value} here")
    assert value not in output_redactor(environ).hide(f"a stage says {value} here")


def test_what_a_harmless_variable_says_too_stays_readable() -> None:
    environ = GIVEN | {"MY_BRANCH": "better-rates", "VERSION": "2026.11.27", "WHERE": "/data/sets", "TEAM": "ci-bot"}
    text = "better-rates 2026.11.27 /data/sets ci-bot ada lovelace http://jenkins.example/job/x/1/"
    assert Redactor(values_to_hide(environ)).hide(text) == text


@pytest.mark.parametrize("name", ["mlbutler", "butler"])
def test_a_bot_of_our_name_garbles_no_report(name: str) -> None:
    text = "report: .mlbutler/report/report.md"
    assert Redactor(values_to_hide(GIVEN | {"GIT_USERNAME": name})).hide(text) == text


def test_names_of_pass_environment_are_given_and_their_values_hidden() -> None:
    environ = GIVEN | CREDENTIALS
    child = project_environment(environ, keep=["WANDB_KEY", "JWT"])
    assert child == GIVEN | {name: CREDENTIALS[name] for name in ("WANDB_KEY", "JWT")}
    assert "WANDB_KEY" not in held_back_names(environ, ["WANDB_KEY"])
    assert output_redactor(environ).hide(CREDENTIALS["WANDB_KEY"]) == HIDDEN


def test_lines_of_a_value_are_hidden_one_by_one() -> None:
    environ = JENKINS | {"SERVICE_ACCOUNT": '{\n "id": "planted-line-one",\n "key": "planted-line-two"\n}'}
    assert "planted-line-two" not in output_redactor(environ).hide(' "key": "planted-line-two"')


@pytest.mark.parametrize("environ", [JENKINS, {"GITHUB_ACTIONS": "true"}, {"GITLAB_CI": "true"}, {"CI": "true"}])
def test_a_ci_server_is_told_from_a_laptop(environ: dict[str, str]) -> None:
    assert in_ci(environ)
    assert "MYTHING" not in project_environment(environ | {"MYTHING": "x"})


def test_on_a_laptop_what_looks_like_a_credential_is_held_back() -> None:
    environ = {"PATH": "/bin", "MYTHING": "x", "DATA_DIR": "/data", "WANDB_API_KEY": "planted-key-1"}
    assert not in_ci(environ)
    child = project_environment(environ)
    assert child.keys() == {"PATH", "MYTHING", "DATA_DIR", "DVC_NO_ANALYTICS", "PYTHONDONTWRITEBYTECODE"}
    assert values_to_hide(environ) == ("planted-key-1",)
