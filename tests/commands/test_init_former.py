"""`mlbutler init` where there is a Jenkinsfile that somebody wrote."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from mlbutler.settings import parse_settings
from tests.commands.conftest import Cli
from tests.scaffold.formers import SCRIPTED, WRITE_UP
from tests.scaffold.projects import KINDS, make

VERB = "init"
pytestmark = pytest.mark.usefixtures("packed_once")
DOCKERFILE = "FROM python:3.8 AS base\nRUN pip install wheel\nFROM base\nCOPY requirements.txt ./\n"
STAGES = "stages:\n  train:\n    cmd: python src/train.py\n    deps: [src/train.py]\n    outs: [model]\n"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The write-up's project: a package called src, a Dockerfile, a remote on the agent beside the shared one."""
    files = {
        "Jenkinsfile": WRITE_UP, "Dockerfile": DOCKERFILE, ".dockerignore": "*\n!requirements.txt\n",
        "dvc.yaml": STAGES, "requirements.txt": "pytest\nflake8\nblack\n", "src/__init__.py": "", "src/util.py": "",
        "src/train.py": "from src.util import x\n",
    }  # fmt: skip
    root = make(tmp_path, replace(KINDS["pip"], files=files))
    with (root / ".dvc" / "config").open("a") as config:
        config.write("['remote \"jenkins_local\"']\n    url = /extras/Store\n")
    monkeypatch.chdir(root)
    return root


def test_the_write_ups_project(cli: Cli, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("--yes") == 0
    said = capsys.readouterr().out
    for line in (
        "  line 12  PYTHONPATH, a variable of the environment",
        "  line 50  credential GIT_PAT, for Git",
        "  line 12  -v /extras:/extras: holds the DVC remote jenkins_local; make it the mirror: --mirror /extras/Store",
        "  line 4   REVISION: made when the build runs",
        "  line 58  slackSend",
    ):
        assert line in said.splitlines()
    script = (root / "Jenkinsfile").read_text()
    assert 'PYTHONPATH = "${env.WORKSPACE}"' in script
    assert "gitUsernamePassword(credentialsId: 'GIT_PAT'" in script
    assert "usernamePassword(credentialsId: 'DVC_PASSWORD'" in script
    assert "/extras" not in script
    assert (root / "Dockerfile").read_text() == DOCKERFILE
    ours = (root / "Dockerfile.mlbutler").read_text()
    assert "FROM python:3.8\n" in ours
    assert "uv venv" in ours
    settings = parse_settings((root / "mlbutler.toml").read_text())
    assert settings.reproduce.pass_environment == ("BOT_NAME",)


def test_what_was_taken_over_stays_with_an_update_and_another_init(cli: Cli, root: Path) -> None:
    assert cli("--yes") == 0
    before = {path: (root / path).read_text() for path in ("Jenkinsfile", "Dockerfile.mlbutler", ".mlbutler-init.json")}
    for words in (["--update"], ["--yes"], ["--update", "--gate-as", "fail"]):
        assert cli(*words) == 0
        assert {path: (root / path).read_text() for path in before} == before


@pytest.mark.parametrize("at", [2, 3, 5, 7])
def test_what_was_taken_over_survives_an_interrupt(
    cli: Cli, root: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    synchronise, seen = os.fsync, []

    def sync_or_interrupt(handle: int) -> None:
        seen.append(handle)
        if len(seen) == at:
            os.kill(os.getpid(), signal.SIGINT)
        synchronise(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", sync_or_interrupt)
        assert cli("--yes") in (0, 130)
    assert cli("--yes") == 0
    script = (root / "Jenkinsfile").read_text()
    assert "GIT_PAT" in script
    assert 'PYTHONPATH = "${env.WORKSPACE}"' in script
    assert "FROM python:3.8\n" in (root / "Dockerfile.mlbutler").read_text()


def test_a_dry_run_tells_and_a_scripted_file_is_read(cli: Cli, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "Jenkinsfile").write_text(SCRIPTED)
    assert cli("--dry-run", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (root / "Jenkinsfile").read_text() == SCRIPTED
    assert found["options"] | {"label": "gpu && linux", "gpu": True, "shm_size": "8g"} == found["options"]
    assert {"line": 11, "text": "a command: ./deploy.sh --all"} in found["left"]
    new = next(file for file in found["files"] if file["path"] == "Jenkinsfile")["diff"]
    assert "label 'gpu && linux'" in new
    assert "-v /data:/data:ro" in new
    assert new.count("--gpus") == 2  # before and now


def test_builds_on_agents_without_a_container_stay_there(cli: Cli, root: Path) -> None:
    (root / "Jenkinsfile").write_text("pipeline {\n  agent { label 'gpu' }\n  stages { stage('a') { steps { } } }\n}\n")
    assert cli("--yes") == 0
    assert "label 'gpu'" in (root / "Jenkinsfile").read_text()
    assert not (root / "Dockerfile.mlbutler").exists()


def test_an_image_without_what_the_projects_files_ask_for(
    cli: Cli, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "environment.yml").write_text("dependencies: [pytest]\n")
    assert cli("--yes") == 0
    assert "image python:3.8: environment.yml asks for condaforge/miniforge3" in capsys.readouterr().out
    assert "FROM condaforge/miniforge3" in (root / "Dockerfile.mlbutler").read_text()


def test_settings_that_are_there_are_not_changed_and_it_is_said(
    cli: Cli, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "mlbutler.toml").write_text("")
    assert cli("--yes") == 0
    assert "stages get BOT_NAME once pass_environment under [reproduce] names them" in capsys.readouterr().out
    assert (root / "mlbutler.toml").read_text() == ""


def test_a_manifest_that_was_changed_gives_nothing(cli: Cli, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("--yes") == 0
    kept = json.loads((root / ".mlbutler-init.json").read_text())
    kept["carried"]["options"] = ["--privileged"]
    (root / ".mlbutler-init.json").write_text(json.dumps(kept))
    assert cli("--update") == 2
    assert "options of the former Jenkinsfile" in capsys.readouterr().err
