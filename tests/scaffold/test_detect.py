from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlbutler.errors import SettingsError, UsageError
from mlbutler.scaffold.detect import detect_project
from mlbutler.scaffold.options import ScaffoldOptions
from mlbutler.scaffold.render import render_files
from tests.scaffold.projects import KINDS, make


@pytest.mark.parametrize("name", KINDS)
def test_what_a_project_is(tmp_path: Path, name: str) -> None:
    kind = KINDS[name]
    root, found = detect_project(make(tmp_path, kind), {})
    assert root == (tmp_path / "clone" / kind.folder).resolve()
    assert found.image.language == kind.language
    assert (found.remote.kind if found.remote else "") == kind.remote
    assert (found.forge, found.folder, found.target) == (kind.forge, kind.folder, "main")
    assert tuple(tool.name for tool in found.tests) == kind.tests
    assert tuple(tool.name for tool in found.linters) == kind.linters
    assert (found.stages, found.metrics, found.configured) == (("train",), ("metrics.json",), False)
    assert found.ssh is kind.git.startswith(("git@", "ssh://"))


def test_python_versions_that_mlbutler_does_not_know_stand_beside_its_own(tmp_path: Path) -> None:
    found = detect_project(make(tmp_path, KINDS["pyproject"]), {})[1]
    assert found.image.base == "python:3.10-slim-bookworm"
    assert found.image.python.startswith("/usr/bin/python3")
    assert "python3-venv" in found.image.system


def test_included_requirements_come_along_and_local_lines_do_not(tmp_path: Path) -> None:
    image = detect_project(make(tmp_path, KINDS["pip"]), {})[1].image
    assert image.files == ("requirements.txt", "more.txt")
    assert "sed -i" in image.install[0]
    assert image.install[0].endswith("pip install --no-cache-dir -r requirements.txt")


def test_tools_that_no_file_names_are_missing(tmp_path: Path) -> None:
    assert detect_project(make(tmp_path, KINDS["pip"]), {})[1].missing == ("flake8",)


def test_outside_of_a_project(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        detect_project(tmp_path, {})


@pytest.mark.parametrize(("git", "settings", "forge"), [
    ("https://git.example.org/a/w.git", '[forge]\nkind = "gitlab"\n', "gitlab"),
    ("https://git.example.org/a/w.git", '[forge]\nkind = "gitea"\nurl = "https://example.org/gitea"\n', "gitea"),
    ("https://git.example.org/a/w.git", '[forge]\nurl = "https://gitlab.example.org"\n', "gitlab"),
    ("https://github.com/a/w.git", '[forge]\nkind = "folder"\nurl = "/srv/told"\n', "folder"),
    ("https://gogs.example.org/a/w.git", "", "gogs"),
    ("https://ann:secret@git.example.org/a/w.git", "", ""),
    ("", '[forge]\nkind = "gitlab"\n', "gitlab"),
])  # fmt: skip
def test_the_forge_is_the_one_that_a_run_publishes_to(tmp_path: Path, git: str, settings: str, forge: str) -> None:
    files = {**KINDS["pip"].files, "mlbutler.toml": settings}
    found = detect_project(make(tmp_path, replace(KINDS["pip"], git=git, files=files)), {})[1]
    assert found.forge == forge
    bound = "mlbutler-forge" in render_files(found, ScaffoldOptions())["Jenkinsfile"]
    assert bound is (forge not in ("", "folder"))


def test_a_forge_that_no_run_could_find_is_named_at_once(tmp_path: Path) -> None:
    files = {**KINDS["pip"].files, "mlbutler.toml": '[forge]\nurl = "https://git.example.org"\n'}
    with pytest.raises(SettingsError, match=r"Nothing tells what forge"):
        detect_project(make(tmp_path, replace(KINDS["pip"], git="https://git.example.org/a/w.git", files=files)), {})
