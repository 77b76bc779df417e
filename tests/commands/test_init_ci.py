"""`mlbutler init --ci`: the files of other CI servers, beside what the repository has."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.commands.conftest import Cli
from tests.scaffold.ci_machines import on_github
from tests.scaffold.projects import KINDS, make

VERB = "init"
pytestmark = pytest.mark.usefixtures("packed_once")
GITHUB = ".github/workflows/mlbutler.yml"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(root := make(tmp_path, KINDS["pip"]))
    return root


def test_github_has_its_workflow_and_nothing_of_jenkins(
    cli: Cli, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("--ci", "github-actions") == 0
    assert (root / GITHUB).is_file()
    assert (root / "mlbutler.toml").is_file()
    assert not any((root / name).exists() for name in ("Jenkinsfile", "Dockerfile", ".dockerignore"))
    assert "mlbutler help ci" in capsys.readouterr().out
    before = (root / GITHUB).read_text()
    (root / GITHUB).write_text(before.replace("ubuntu-24.04", "ubuntu-26.04"))
    assert cli("--update", "--gate-as", "unstable") == 0  # the server is that of the last time
    text = (root / GITHUB).read_text()
    assert "ubuntu-26.04" in text
    assert "::warning" in text


def test_jenkins_is_the_default_and_can_be_left(cli: Cli, root: Path) -> None:
    assert cli() == 0
    assert (root / "Jenkinsfile").is_file()
    assert cli("--ci", "gitlab-ci") == 0
    assert (root / ".gitlab-ci.yml").is_file()
    assert json.loads((root / ".mlbutler-init.json").read_text())["options"]["ci"] == "gitlab-ci"


def test_a_gitlab_file_of_the_teams_own_stays(cli: Cli, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / ".gitlab-ci.yml").write_text("docs: {script: [make]}\n")
    assert cli("--ci", "gitlab-ci") == 0
    assert (root / ".gitlab-ci.yml").read_text() == "docs: {script: [make]}\n"
    assert "mlbutler" in YAML(typ="safe", pure=True).load((root / "mlbutler.gitlab-ci.yml").read_text())
    assert "include: [{local: .../mlbutler.gitlab-ci.yml}]" in capsys.readouterr().out
    assert cli("--update") == 0
    assert (root / ".gitlab-ci.yml").read_text() == "docs: {script: [make]}\n"


def test_a_project_in_a_folder_has_its_workflow_where_github_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    root = make(tmp_path / "other", KINDS["monorepo"])
    monkeypatch.chdir(root)
    assert cli("--ci", "github-actions") == 0
    assert (tmp_path / "other" / "clone" / ".github" / "workflows" / "mlbutler-teams-vision.yml").is_file()
    assert cli("--update") == 0


@pytest.mark.parametrize("words", [
    ["--ci", "github-actions", "--agent", "kubernetes", "--image", "x"], ["--ci", "gitlab-ci", "--gpu"],
    ["--ci", "github-actions", "--image", "x"], ["--ci", "travis"],
])  # fmt: skip
def test_what_the_server_does_not_have_writes_nothing(cli: Cli, root: Path, words: list[str]) -> None:
    before = sorted(path.name for path in root.iterdir())
    assert cli(*words) == 2
    assert sorted(path.name for path in root.iterdir()) == before


PYTHON = """#!/bin/sh
# python3 -m venv FOLDER
mkdir -p "$3/bin"
printf '#!/bin/sh\\necho "pip $*" >> "$CALLS"\\n' > "$3/bin/pip"
printf '#!/bin/sh\\necho "python $*"\\n' > "$3/bin/python"
chmod 755 "$3/bin/pip" "$3/bin/python"
"""


def test_githubs_machine_is_set_up_and_the_clone_stays_as_it_is(cli: Cli, root: Path, tmp_path: Path) -> None:
    """The lists of requirements lose a line that would install the project; those in the clone do not."""
    assert cli("--ci", "github-actions", "--requirement", "mlbutler==9") == 0
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in {"python3": PYTHON, "pip": '#!/bin/sh\necho "pip $*" >> "$CALLS"\n'}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(stat.S_IRWXU)
    calls = tmp_path / "calls"
    environ = {"PATH": f"{programs}:/usr/bin:/bin", "CALLS": str(calls), "HOME": str(tmp_path)}
    job = on_github((root / GITHUB).read_text(), root, environ, {}, "token")
    assert job.status == "success", job.log
    assert "python -I -m mlbutler --version" in job.log
    mirror = f"{tmp_path}/.cache/mlbutler-mirror"
    assert f"mlbutler store prune --mirror {mirror} --adopt {mirror} --limit 5GB" in job.log
    assert calls.read_text().splitlines() == [
        "pip install --quiet mlbutler==9",
        "pip install --no-cache-dir -r requirements.txt",
        "pip install --no-cache-dir flake8",
    ]
    there = root.with_name(f"{root.name}-temporary") / "dependencies"
    assert "-e ." not in (there / "requirements.txt").read_text()
    assert (there / "more.txt").is_file()
    changed = subprocess.run(["git", "diff", "--stat"], cwd=root, capture_output=True, text=True, check=True)
    assert changed.stdout == ""
