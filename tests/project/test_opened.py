"""A project whose configuration DVC refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlbutler.errors import ProjectError
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
