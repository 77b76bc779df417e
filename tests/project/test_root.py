from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from mlbutler.errors import UsageError
from mlbutler.project.root import find_root


def test_the_project_below_is_named_as_a_shell_takes_it(tmp_path: Path) -> None:
    project = tmp_path / "my folder" / "prøject's"
    (project / ".dvc").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    with pytest.raises(UsageError) as caught:
        find_root(tmp_path)
    assert shlex.split(caught.value.remedy.removeprefix("Choose one: ")) == ["-C", str(project)]
    assert find_root(project / ".dvc") == project
