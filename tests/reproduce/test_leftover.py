"""A lock file that a kill cut short does not stop the next run."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlbutler.reproduce.leftover import remove_torn_rwlock


@pytest.mark.parametrize(("content", "stays"), [("", False), ('{"a"', False), ("{}", True)])
def test_only_a_torn_file_goes(tmp_path: Path, content: str, stays: bool) -> None:
    path = tmp_path / ".dvc" / "tmp" / "rwlock"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    remove_torn_rwlock(tmp_path)
    assert path.exists() is stays
