"""Running git: what a remote that does not answer is told as."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlbutler.errors import GitError
from mlbutler.git import Git
from tests.conftest import GitCommand


def test_a_remote_that_cannot_be_read_is_named_with_a_remedy(tmp_path: Path, git: GitCommand) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "remote", "add", "origin", "/nowhere/repository.git")
    with pytest.raises(GitError) as caught:
        Git(tmp_path, {"PATH": "/usr/bin:/bin"}).run("fetch", "origin", network=True)
    assert "/nowhere/repository.git" in caught.value.message
    assert "git remote -v" in caught.value.remedy
