"""Credentials that are given as files are used like those in variables, and seen as little."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlbutler.errors import UsageError
from mlbutler.secret_files import read_secret_files


@pytest.mark.parametrize("name", [
    "MLBUTLER_FORGE_TOKEN", "MLBUTLER_GIT_TOKEN", "MLBUTLER_JENKINS_TOKEN", "MLBUTLER_NOTIFY_WEBHOOK",
    "MLBUTLER_REMOTE_PASSWORD", "MLBUTLER_REMOTE_MY_STORE_PASSWORD",
])  # fmt: skip
def test_a_file_stands_for_the_variable(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    environ = {f"{name}_FILE": str(tmp_path / "secret"), "GIT_TOKEN_FILE": "/other", "MLBUTLER_CHDIR_FILE": "x"}
    read_secret_files(environ)
    assert environ == {name: "s3cret", "GIT_TOKEN_FILE": "/other", "MLBUTLER_CHDIR_FILE": "x"}


def test_an_empty_one_is_none(tmp_path: Path) -> None:
    environ = {"MLBUTLER_FORGE_TOKEN_FILE": ""}
    read_secret_files(environ)
    assert environ == {}


def test_what_cannot_be_read_and_what_is_said_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\xff\xfe")
    for path, said in ((tmp_path / "none", "No such file"), (tmp_path, "directory"), (tmp_path / "secret", "not text")):
        with pytest.raises(UsageError, match=said):
            read_secret_files({"MLBUTLER_FORGE_TOKEN_FILE": str(path)})
    with pytest.raises(UsageError, match="both set"):
        read_secret_files({"MLBUTLER_FORGE_TOKEN_FILE": str(tmp_path / "secret"), "MLBUTLER_FORGE_TOKEN": "x"})


def test_the_command_line_reads_them_first(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mlbutler", "plan"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"MLBUTLER_FORGE_TOKEN_FILE": str(tmp_path / "none")},
    )  # fmt: skip
    assert done.returncode == 2
    assert "MLBUTLER_FORGE_TOKEN_FILE" in done.stderr
    assert "cannot be read" in done.stderr
