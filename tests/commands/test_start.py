"""What a verb is given when it starts."""

from __future__ import annotations

import json
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
    with begin(Path(), QUIET) as context:
        assert context.root == root.resolve()
        assert Path.cwd() == root.resolve()
        assert context.git.toplevel() == root.resolve()
        assert context.record.change.author == "Ada"
        assert context.record.change.message == "first"


def test_git_is_asked_nothing_twice(root: Path, tmp_path: Path) -> None:
    told = tmp_path / "trace.json"
    with begin(Path(), QUIET, environ=os.environ | {"GIT_TRACE2_EVENT": str(told)}) as context:
        assert context.record.change.pushed
    events = [json.loads(line) for line in told.read_text().splitlines()]
    commands = [" ".join(event["argv"]) for event in events if event["event"] == "start"]
    assert commands and sorted(set(commands)) == sorted(commands)
    assert len([command for command in commands if " HEAD" in command]) == 2  # before and after the clone was locked
