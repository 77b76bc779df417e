from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from mlbutler.version import __version__
from tests.commands.conftest import Cli
from tests.scaffold.projects import KINDS, make

VERB = "init"
pytestmark = pytest.mark.usefixtures("packed_once")


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(root := make(tmp_path, KINDS["pip"]))
    return root


def content(root: Path) -> dict[str, str]:
    """The project's own files, and the wheel's in the image's build context."""
    files = [*root.iterdir(), *root.glob(".mlbutler-init/*")]
    return {path.name: path.read_bytes().decode("latin-1") for path in files if path.is_file()}


def test_a_dry_run_writes_nothing(cli: Cli, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = content(root)
    assert cli("--dry-run", "--verbose") == 0
    assert content(root) == before
    out = capsys.readouterr().out
    assert "to be created      Jenkinsfile" in out
    assert "+pipeline {" in out
    assert "Nothing was written." in out


@pytest.mark.parametrize("path", ["Jenkinsfile", "Jenkinsfile.merge"])
def test_nothing_is_read_or_written_through_a_link_that_was_committed(
    cli: Cli, root: Path, tmp_path: Path, git: Callable[..., str], path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("a private key\n")
    (root / path).symlink_to(outside)
    git(root, "add", "-A")
    before = content(root)
    assert cli("--yes") == 1
    said = capsys.readouterr()
    assert f"{path} is a symbolic link" in said.err
    assert "private key" not in said.out + said.err
    assert content(root) == before
    assert (root / path).is_symlink()
    assert outside.read_text() == "a private key\n"


def test_nothing_is_removed_through_a_link_that_was_committed(
    cli: Cli, root: Path, tmp_path: Path, git: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    outside = tmp_path / "out"
    outside.mkdir()
    (outside / "mlbutler-0.0.1-py3-none-any.whl").write_text("somebody's")
    (root / ".mlbutler-init").symlink_to(outside)
    git(root, "add", "-A")
    before = content(root)
    assert cli("--yes", "--requirement", "mlbutler==0.1.0") == 1
    assert ".mlbutler-init is a symbolic link" in capsys.readouterr().err
    assert content(root) == before
    assert (outside / "mlbutler-0.0.1-py3-none-any.whl").read_text() == "somebody's"


def test_it_writes_and_a_second_time_changes_nothing(cli: Cli, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = set(content(root))
    assert cli() == 0
    made = content(root)
    wheel = f"mlbutler-{__version__}-py3-none-any.whl"
    assert set(made) - before == {
        "Jenkinsfile", "Dockerfile", ".dockerignore", "mlbutler.toml", ".mlbutler-init.json", wheel,
    }  # fmt: skip
    assert "python -m pytest" in made["mlbutler.toml"]
    assert "tests     pytest" in capsys.readouterr().out
    assert cli("--yes") == 0
    assert content(root) == made
    assert cli("--update") == 0
    assert content(root) == made


_UNDISTURBED = dict[str, str]()


@pytest.fixture
def expected(cli: Cli, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The content of a project where nothing interrupted it, made once."""
    if not _UNDISTURBED:
        monkeypatch.chdir(wanted := make(tmp_path / "undisturbed", KINDS["pip"]))
        assert cli() == 0
        monkeypatch.chdir(root)
        _UNDISTURBED.update(content(wanted))
    return _UNDISTURBED


@pytest.mark.parametrize("at", range(1, 13))
def test_an_interrupt_leaves_whole_files_and_a_second_time_finishes(
    cli: Cli, root: Path, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Ctrl-C at each write to the disk in turn: each file is synchronised once, and its folder once."""
    before = set(content(root))
    synchronise, seen = os.fsync, []

    def sync_or_interrupt(handle: int) -> None:
        seen.append(handle)
        if len(seen) == at:
            os.kill(os.getpid(), signal.SIGINT)
        synchronise(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", sync_or_interrupt)
        assert cli() == 130
    left = content(root)
    assert set(left) <= set(expected)  # no file half done, none beside them
    assert all(left[name] == expected[name] for name in set(left) - before)
    assert cli() == 0
    assert content(root) == expected


def test_several_remotes_and_no_default_is_said(cli: Cli, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / ".dvc" / "config").write_text(
        "['remote \"one\"']\n    url = s3://a/b\n['remote \"two\"']\n    url = ssh://a/b\n"
    )
    assert cli("--dry-run") == 0
    assert "no default among the DVC remotes one, two" in capsys.readouterr().out


def test_nothing_is_overwritten_unasked(cli: Cli, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "Jenkinsfile").write_text("pipeline { agent any }\n")
    before = content(root)
    assert cli() == 2
    said = capsys.readouterr()
    assert content(root) == before
    assert "-pipeline { agent any }" in said.out
    assert "would be overwritten: Jenkinsfile" in said.err
    assert cli("--yes") == 0
    assert "stage('reproduce')" in (root / "Jenkinsfile").read_text()


def test_a_dockerfile_of_the_projects_own_stays(cli: Cli, root: Path) -> None:
    (root / "Dockerfile").write_text("FROM scratch\n")
    assert cli() == 0
    assert (root / "Dockerfile").read_text() == "FROM scratch\n"
    assert "filename 'Dockerfile.mlbutler'" in (root / "Jenkinsfile").read_text()
    assert (root / "Dockerfile.mlbutler.dockerignore").is_file()
    assert not (root / ".dockerignore").exists()
    assert cli("--update") == 0
    assert not (root / ".dockerignore").exists()


def test_an_update_keeps_edits_and_options(cli: Cli, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("--gate-as", "unstable", "--mirror", "/srv/mirror") == 0
    script = root / "Jenkinsfile"
    script.write_text(script.read_text().replace("unit: 'DAYS'", "unit: 'HOURS'") + "// ours\n")
    capsys.readouterr()
    assert cli("--update", "--agent", "label:gpu", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["options"]["gate_as"] == "unstable"
    assert {file["path"]: file["action"] for file in found["files"]} == {"Jenkinsfile": "updated"}
    text = script.read_text()
    assert "label 'gpu'" in text
    assert "timeout(time: 5, unit: 'HOURS') { command 'mlbutler reproduce' }" in text
    assert text.endswith("// ours\n")
    assert "/srv/mirror" in text
    assert "dockerfile" not in text


def test_the_job_for_experiments_has_a_file_of_its_own_and_keeps_edits(
    cli: Cli, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = root / "Jenkinsfile.train"
    assert cli() == 0
    assert not script.exists()
    assert cli("--update", "--train", "--agent", "label:cpu") == 0
    assert "def labels() { ['cpu'] }" in script.read_text()
    script.write_text(script.read_text().replace("daysToKeepStr: '30'", "daysToKeepStr: '90'"))
    capsys.readouterr()
    assert cli("--update", "--agent", "label:gpu", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["options"]["train"] is True
    assert {file["path"]: file["action"] for file in found["files"]}["Jenkinsfile.train"] == "updated"
    assert "def labels() { ['gpu'] }" in script.read_text()
    assert "daysToKeepStr: '90'" in script.read_text()
    assert cli("--ci", "gitlab-ci", "--train", "--agent", "label:gpu", "--yes") == 2
    assert "--train is for Jenkins" in capsys.readouterr().err


def test_the_image_gets_this_version_as_a_wheel_and_not_where_pip_has_it_from_elsewhere(
    cli: Cli, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / ".gitignore").write_text("*.whl\n")
    assert cli() == 0
    (wheel,) = root.glob(".mlbutler-init/*.whl")
    said = capsys.readouterr().out
    assert f"takes it from .mlbutler-init/{wheel.name}" in said
    assert f"Git ignores .mlbutler-init/{wheel.name}" in said
    docker = (root / "Dockerfile").read_text()
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert f"{wheel.name}#sha256={digest}" in docker
    assert f"COPY .mlbutler-init/{wheel.name} " in docker
    assert f"!.mlbutler-init/{wheel.name}\n" in (root / ".dockerignore").read_text()
    assert cli("--update", "--requirement", "mlbutler==9") == 0
    assert f"removed            .mlbutler-init/{wheel.name}" in capsys.readouterr().out
    assert not wheel.exists()
    docker = (root / "Dockerfile").read_text()
    assert "ARG MLBUTLER=mlbutler==9\n" in docker
    assert "COPY .mlbutler-init" not in docker


def test_a_container_gets_cards_and_shared_memory_until_it_is_told_otherwise(cli: Cli, root: Path) -> None:
    assert cli("--gpu", "--shm-size", "8g") == 0
    assert "--pids-limit 4096 --gpus all --shm-size 8g " in (root / "Jenkinsfile").read_text()
    assert cli("--update", "--no-gpu") == 0
    script = (root / "Jenkinsfile").read_text()
    assert "--gpus" not in script
    assert "--shm-size 8g" in script
    assert cli("--update", "--shm-size", "") == 0
    assert "--shm-size" not in (root / "Jenkinsfile").read_text()


def test_a_conflict_that_was_settled_by_hand_does_not_come_back(cli: Cli, root: Path) -> None:
    assert cli() == 0
    script = root / "Jenkinsfile"
    script.write_text(script.read_text().replace("command 'mlbutler compare'", "command 'mlbutler compare --mine'"))
    assert cli("--update", "--gate-as", "unstable") == 1
    assert cli("--update") == 1  # the merge still lies there
    settled = script.read_text() + "// theirs was looked at\n"
    script.write_text(settled)
    (root / "Jenkinsfile.merge").unlink()
    assert cli("--update") == 0
    assert script.read_text() == settled
    assert "conflicts" not in json.loads((root / ".mlbutler-init.json").read_text())


def test_edits_that_meet_leave_the_file_and_say_so(cli: Cli, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli() == 0
    script = root / "Jenkinsfile"
    mine = script.read_text().replace("label 'docker'", "label 'mine'")
    script.write_text(mine)
    assert cli("--update", "--agent", "label:gpu") == 1
    assert script.read_text() == mine
    assert "<<<<<<< yours" in (root / "Jenkinsfile.merge").read_text()
    assert "left as it is" in capsys.readouterr().err
    assert cli("--update", "--agent", "label:gpu") == 1  # it is not forgotten


@pytest.mark.parametrize(("words", "said"), [
    (["--agent", "podman"], "no agent 'podman'"), (["--agent", "kubernetes"], "image"),
    (["--mirror", "relative"], "absolute"),
    (["--mirror", "/srv/our mirror"], "blanks"), (["--shm-size", "8 GB"], "not a size"),
    (["--agent", "label:gpu", "--gpu"], "label:gpu"),
])  # fmt: skip
def test_options_that_do_not_fit_write_nothing(
    cli: Cli, root: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    before = content(root)
    assert cli(*words) == 2
    assert said in capsys.readouterr().err
    assert content(root) == before


def test_kept_text_that_is_torn_is_an_error(cli: Cli, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli() == 0
    (root / ".mlbutler-init.json").write_text('{"files": 5')
    assert cli("--update") == 2
    assert ".mlbutler-init.json cannot be read" in capsys.readouterr().err
