"""What a verb is given when it starts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlbutler.commands.start import begin
from mlbutler.console import Console
from tests.store.dvc_world import clone, copy_remote

QUIET = Console(quiet=True)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = clone(tmp_path / "clone", str(copy_remote(tmp_path / "remote")))
    monkeypatch.chdir(root)
    return root


def test_git_works_at_the_project_s_root(root: Path) -> None:
    (root / "sub").mkdir()
    os.chdir(root / "sub")
    with begin(Path(), QUIET) as work:
        assert work.root == root.resolve()
        assert Path.cwd() == root.resolve()
        assert work.git.toplevel() == root.resolve()
        assert work.record.change.author == "Ada"
        assert work.record.change.message == "first"
