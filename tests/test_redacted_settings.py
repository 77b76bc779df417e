"""What CI servers and jobs leave in files of settings is not shown to the project's code, and the rest is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mlbutler.redacted_settings import redacted

GIT = """[core]
\trepositoryformatversion = 0
[remote "origin"]
\turl = https://gitlab-ci-token:planted@gitlab.example/x.git
\tpushurl = https://planted@github.com/x.git
\tfetch = +refs/heads/*:refs/remotes/origin/*
[http "https://github.com/"]
\textraheader = AUTHORIZATION: basic planted\\
planted
\tsslVerify = true
[url "https://oauth2:planted@gitlab.example/"] insteadOf = https://gitlab.example/
[credential "https://x"]
\thelper = "!f() { echo password=planted; }; f"
\tusername = planted
[sendemail]
\tsmtpPass = planted
[branch "main"]
\tremote = origin
"""
DVC = """[core]
    remote = store
['remote "store"']
    url = azure://data
    account_key = planted
    password = planted
    connection_string = planted
    jobs = 4
"""


def test_git_reads_all_but_the_credentials(tmp_path: Path) -> None:
    text = redacted(GIT)
    assert "planted" not in text
    (tmp_path / "config").write_text(text)
    command = ["git", "config", "--file", str(tmp_path / "config"), "--list"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines() == [
        "core.repositoryformatversion=0", "remote.origin.url=https://gitlab.example/x.git",
        "remote.origin.pushurl=https://github.com/x.git", "remote.origin.fetch=+refs/heads/*:refs/remotes/origin/*",
        "http.https://github.com/.sslverify=true", "url.https://gitlab.example/.insteadof=https://gitlab.example/",
        "branch.main.remote=origin",
    ]  # fmt: skip


def test_dvc_s_too() -> None:
    text = redacted(DVC)
    assert "planted" not in text
    assert [line.strip() for line in text.splitlines()] == [
        "[core]", "remote = store", "['remote \"store\"']", "url = azure://data", "jobs = 4",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", '[core]\n\tbare = false\n[remote "o"]\n\turl = git@host:x.git\n', "a\\"])
def test_without_a_credential_nothing_changes(text: str) -> None:
    assert redacted(text) == text
