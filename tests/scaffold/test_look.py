from __future__ import annotations

from pathlib import Path

import pytest

from mlbutler.errors import UsageError
from mlbutler.scaffold.look import look
from tests.scaffold.projects import KINDS, make


@pytest.mark.parametrize("name", KINDS)
def test_what_a_project_is(tmp_path: Path, name: str) -> None:
    kind = KINDS[name]
    root, found = look(make(tmp_path, kind), {})
    assert root == (tmp_path / "clone" / kind.folder).resolve()
    assert found.image.language == kind.language
    assert (found.remote.kind if found.remote else "") == kind.remote
    assert (found.source, found.folder, found.target) == (kind.source, kind.folder, "main")
    assert tuple(tool.name for tool in found.tests) == kind.tests
    assert tuple(tool.name for tool in found.linters) == kind.linters
    assert (found.stages, found.metrics, found.configured) == (("train",), ("metrics.json",), False)
    assert found.ssh is kind.git.startswith(("git@", "ssh://"))


def test_python_versions_that_mlbutler_does_not_know_stand_beside_its_own(tmp_path: Path) -> None:
    found = look(make(tmp_path, KINDS["pyproject"]), {})[1]
    assert found.image.base == "python:3.10-slim-bookworm"
    assert found.image.python.startswith("/usr/bin/python3")
    assert "python3-venv" in found.image.system


def test_included_requirements_come_along_and_local_lines_do_not(tmp_path: Path) -> None:
    image = look(make(tmp_path, KINDS["pip"]), {})[1].image
    assert image.files == ("requirements.txt", "more.txt")
    assert "sed -i" in image.install[0]
    assert image.install[0].endswith("pip install --no-cache-dir -r requirements.txt")


def test_tools_that_no_file_names_are_missing(tmp_path: Path) -> None:
    assert look(make(tmp_path, KINDS["pip"]), {})[1].missing == ("flake8",)


def test_outside_of_a_project(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        look(tmp_path, {})
