"""A clone that shares Git's objects has every commit that the repository has."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlbutler.git import Git
from mlbutler.reproduce.scratch import make_clone
from tests.conftest import GitCommand


@pytest.fixture
def repository(tmp_path: Path, git: GitCommand) -> Path:
    root = tmp_path / "main"
    root.mkdir()
    git(root, "init", "-q")
    for number in range(3):
        (root / "file").write_text(f"{number}\n")
        git(root, "add", "file")
        git(root, "commit", "-qm", str(number))
    return root


def clone(root: Path, target: Path, commit: str) -> Path:
    return make_clone(Git(root), target, commit, "", {"PATH": "/usr/bin:/bin"})


def of_no_branch(root: Path, git: GitCommand) -> str:
    (root / "file").write_text("of no branch\n")
    git(root, "add", "file")
    commit = git(root, "commit-tree", git(root, "write-tree"), "-p", "HEAD", "-m", "of no branch")
    git(root, "reset", "-q", "--hard")
    return commit


@pytest.mark.parametrize("kind", ["whole", "shallow", "worktree"])
def test_a_commit_that_no_branch_holds(repository: Path, tmp_path: Path, git: GitCommand, kind: str) -> None:
    root = repository
    if kind == "shallow":
        root = tmp_path / "shallow"
        git(tmp_path, "clone", "-q", "--depth", "1", repository.as_uri(), str(root))
    elif kind == "worktree":
        root = tmp_path / "linked"
        git(repository, "worktree", "add", "-q", "--detach", str(root))
    commit = of_no_branch(root, git)
    made = clone(root, tmp_path / "clone", commit)
    assert (made / "file").read_text() == "of no branch\n"
    assert git(made, "status", "--porcelain") == ""
    assert git(made, "rev-parse", "HEAD") == commit
    assert git(made, "remote") == ""
    assert git(made, "log", "--format=%s").splitlines()[0] == "of no branch"
    git(made, "fsck", "--connectivity-only")


def test_what_is_made_there_stays_there(repository: Path, tmp_path: Path, git: GitCommand) -> None:
    before = git(repository, "for-each-ref")
    made = clone(repository, tmp_path / "clone", git(repository, "rev-parse", "HEAD"))
    (made / "file").write_text("mine\n")
    git(made, "commit", "-qam", "mine")
    assert git(repository, "for-each-ref") == before
    assert (repository / "file").read_text() == "2\n"
