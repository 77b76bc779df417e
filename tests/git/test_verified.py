"""Objects under an id that is not theirs, in a real repository."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from mlbutler.commitback.build import Author, CommitBuilder
from mlbutler.errors import GitError
from mlbutler.git import Git, TreeEntry
from mlbutler.git import verified as git_verified
from mlbutler.git.address import RemoteAccess
from tests.conftest import GitCommand


@pytest.fixture
def clone(tmp_path: Path, git: GitCommand) -> Git:
    git(tmp_path, "init", "-q")
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "sub" / "deep" / "ü file").write_text("content")
    (tmp_path / "config").write_text("honest")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "one")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "two")
    return Git(tmp_path, access=RemoteAccess(None, fresh=False))


def forge(clone: Git, oid: str, other: str) -> None:
    """Put the content of another object under this id."""
    objects = clone.path("objects")
    content = zlib.decompress((objects / other[:2] / other[2:]).read_bytes())
    file = objects / oid[:2] / oid[2:]
    file.chmod(0o644)
    file.write_bytes(zlib.compress(content))


def test_what_is_whole_is_read(clone: Git) -> None:
    head = clone.head()
    assert git_verified.file_at(clone, head, "sub/deep/ü file") == b"content"
    assert git_verified.file_at(clone, head, "sub/none") is None
    assert git_verified.file_at(clone, head, "sub") is None
    assert git_verified.tree(clone, head) == {entry.path: entry for entry in clone.tree(head)}
    assert git_verified.is_ancestor(clone, clone.parents(head)[0], head)
    assert not git_verified.is_ancestor(clone, head, clone.parents(head)[0])


@pytest.mark.parametrize("what", ["HEAD:config", "HEAD^{tree}", "HEAD"])
def test_a_forged_object_is_refused(clone: Git, git: GitCommand, what: str) -> None:
    head, path = clone.head(), clone.directory
    (path / "config").write_text("evil")
    git(path, "commit", "-qam", "evil")
    oid = clone.run("rev-parse", what.replace("HEAD", head)).text
    forge(clone, oid, clone.run("rev-parse", what).text)
    with pytest.raises(GitError) as caught:
        clone.show(head, "config")
    assert oid in caught.value.message


def test_an_ancestor_that_a_forged_commit_names_is_none(clone: Git, git: GitCommand) -> None:
    tip = clone.head()
    git(clone.directory, "checkout", "-q", "--orphan", "evil")
    git(clone.directory, "commit", "-qm", "evil")
    evil = clone.head()
    git(clone.directory, "commit", "-q", "--allow-empty", "-m", "on top of evil")
    forge(clone, tip, clone.head())
    with pytest.raises(GitError):
        git_verified.is_ancestor(clone, evil, tip)


def test_a_results_commit_holds_the_results_and_the_parent_s_files_alone(clone: Git, git: GitCommand) -> None:
    head, path = clone.head(), clone.directory
    (path / "config").write_text("smuggled")
    git(path, "commit", "-qam", "evil")
    forged = clone.run("rev-parse", f"{head}^{{tree}}").text
    oid = clone.run("hash-object", "-w", "--stdin", input=b"results").text
    build = CommitBuilder(
        clone, {"dvc.lock": TreeEntry("100644", oid, "dvc.lock")}, "Results\n", Author("B", "b@example.org")
    )
    names = [entry.path for entry in clone.tree(build(head))]
    assert names == ["config", "dvc.lock", "sub/deep/ü file"]
    forge(clone, forged, clone.run("rev-parse", "HEAD^{tree}").text)
    with pytest.raises(GitError):
        build(head)
