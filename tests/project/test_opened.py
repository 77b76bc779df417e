"""A project that is opened again, and one whose configuration DVC refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlbutler.errors import ProjectError
from mlbutler.project.project import Project
from tests.project.conftest import Plan


@pytest.mark.parametrize(
    ("local", "named"), [("config", ".dvc/config"), ("config.local", ".dvc/config with .dvc/config.local")]
)
def test_the_error_names_the_files_that_the_fault_may_be_in(full: Path, plan: Plan, local: str, named: str) -> None:
    (full / ".dvc" / "config.local").unlink(missing_ok=True)
    with (full / ".dvc" / local).open("a") as file:
        file.write("['remote \"left\"']\n")
    with pytest.raises(ProjectError) as caught:
        plan(full)
    assert str(caught.value).startswith(f"{named} cannot be read:")
    assert caught.value.remedy == f"Fix {named}."


def test_what_changed_meanwhile_is_read(full: Path) -> None:
    project = Project(full, {})
    before = project.tree.hash("data/raw", "md5")
    names = {stage.name for stage in project.stages.pipeline()}
    (full / "data" / "raw" / "left.out").write_text("more")
    (full / ".dvcignore").write_text("*.out\n")
    with (full / "dvc.yaml").open("a") as file:
        file.write("  more:\n    cmd: echo more\n")
    project.reload()
    assert {stage.name for stage in project.stages.pipeline()} == names | {"more"}
    assert project.tree.hash("data/raw", "md5") == before
    (full / ".dvcignore").unlink()
    project.reload()
    assert project.tree.hash("data/raw", "md5") != before
    (full / ".dvc" / "config").write_text("[core]\n    remote = new\n['remote \"new\"']\n    url = /new\n")
    project.reload()
    assert project.default_remote() == "new"
