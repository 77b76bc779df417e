"""A misspelt environment variable is reported, and no variable that works is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from mlbutler.cli import cli
from mlbutler.verbs.variables import unknown

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("given", "meant"), [
    ("MLBUTLER_DATA_REMOT", "MLBUTLER_DATA_REMOTE"),
    ("MLBUTLER_DATA_MIROR", "MLBUTLER_DATA_MIRROR"),
    ("MLBUTLER_REPRODUCE_WEHN", "MLBUTLER_REPRODUCE_WHEN"),
    ("MLBUTLER_REMOTE_USERNAME", "MLBUTLER_REMOTE_USER"),
    ("MLBUTLER_REMOTE_MY_STORE_PASWORD", "MLBUTLER_REMOTE_MY_STORE_PASSWORD"),
    ("MLBUTLER_WEBHOOK", "MLBUTLER_NOTIFY_WEBHOOK"),
    ("MLBUTLER_STORE_PRUNE_LIMT", "MLBUTLER_STORE_PRUNE_LIMIT"),
    ("MLBUTLER_CHDIRR", "MLBUTLER_CHDIR"),
    ("MLBUTLER_forge_token", "MLBUTLER_FORGE_TOKEN"),
    ("MLBUTLER_ATTEST_KEY", ""),
    ("MLBUTLER_HOUSE", ""),
])  # fmt: skip
def test_a_misspelt_variable_names_the_nearest_if_one_is_near(given: str, meant: str) -> None:
    assert list(unknown({given: "x", "PATH": "/bin"}, cli)) == [(given, meant)]


def test_every_variable_of_the_documentation_is_known() -> None:
    pages = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", *(ROOT / "jenkins-library").rglob("*.groovy")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    names = set(re.findall(r"\bMLBUTLER_[A-Z_]*[A-Z]\b", text)) | {"MLBUTLER_REMOTE_MY_STORE_SECRET_ACCESS_KEY"}
    assert {"MLBUTLER_DATA_REMOTE", "MLBUTLER_RUN_AGAINST", "MLBUTLER_REMOTE_ORIGIN_USER"} <= names
    assert [name for name, _ in unknown(dict.fromkeys(names, "x"), cli)] == []


def test_a_verb_warns_and_goes_on(tmp_path: Path) -> None:
    environ = {"MLBUTLER_DATA_MIROR": "/m", "MLBUTLER_STORE_STATUS_JSON": "", "MLBUTLER_FORGE_TOKEN": "secret-value"}
    words = ["store", "verify", "--mirror", str(tmp_path)]
    done = CliRunner().invoke(cli, words, env=environ)
    assert done.exit_code == 0, done.output
    assert done.output.startswith(
        "Warning: mlbutler does not know the variable MLBUTLER_DATA_MIROR. Did you mean MLBUTLER_DATA_MIRROR?\n"
    )
    assert "secret-value" not in done.output
    done = CliRunner().invoke(cli, words, env={"MLBUTLER_ATTEST_KEY": "secret-value"})
    assert done.output.startswith("Warning: mlbutler does not know the variable MLBUTLER_ATTEST_KEY.\n")


def test_the_version_in_a_variable_does_not_stop_a_verb(tmp_path: Path) -> None:
    words = ["store", "verify", "--mirror", str(tmp_path)]
    for value in ("1", "0.1.0"):
        done = CliRunner().invoke(cli, words, env={"MLBUTLER_VERSION": value}, auto_envvar_prefix="MLBUTLER")
        assert done.exit_code == 0
        assert "objects hashed" in done.output
