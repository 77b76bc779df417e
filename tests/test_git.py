"""Running git: what a remote that does not answer is told as."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlbutler.errors import GitError, UsageError
from mlbutler.git import Git
from tests.conftest import GitCommand


def test_a_remote_that_cannot_be_read_is_named_with_a_remedy(tmp_path: Path, git: GitCommand) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "remote", "add", "origin", "/nowhere/repository.git")
    with pytest.raises(GitError) as caught:
        Git(tmp_path, {"PATH": "/usr/bin:/bin"}).run("fetch", "origin", network=True)
    assert "/nowhere/repository.git" in caught.value.message
    assert "git remote -v" in caught.value.remedy


def test_where_there_is_no_repository_the_whole_path_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        Git(Path(), {"PATH": "/usr/bin:/bin", "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}).toplevel()
    assert caught.value.message == f"Not a git repository: {tmp_path}"
