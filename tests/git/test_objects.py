"""Files of commits, and a branch's commits, through one process each."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mlbutler.errors import GitError
from mlbutler.git import Git
from mlbutler.git.objects import first_parents, read_blobs
from tests.project.conftest import commit


@pytest.fixture
def git(tmp_path: Path) -> Git:
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=tmp_path, check=True)
    return Git(tmp_path)


def test_files_by_odd_names(git: Git) -> None:
    contents = {"a": b"one\n", "two\nlines": b"", "b c ☃": b"\n\n one", "-x": b"\0blob 3\n", "same": b"one\n"}
    for name, content in contents.items():
        (git.directory / name).write_bytes(content)
    (git.directory / "folder").mkdir()
    (git.directory / "folder" / "in it").write_bytes(b"in")
    head = commit(git.directory, "first")
    names = [f"{head}:{name}" for name in contents]
    found = read_blobs(git, [*names, f"{head}:folder/in it", f"{head}:folder", f"{head}:none", "no:x\ny"], 1000)
    assert {name: blob.content for name, blob in found.items()} == {
        **{f"{head}:{name}": content for name, content in contents.items()},
        f"{head}:folder/in it": b"in",
    }
    assert found[f"{head}:a"].oid == found[f"{head}:same"].oid
    assert read_blobs(git, [], 1000) == {}


def test_what_is_too_large_comes_without_its_content(git: Git) -> None:
    (git.directory / "a").write_bytes(b"x" * 11)
    head = commit(git.directory, "first")
    assert read_blobs(git, [f"{head}:a"], 11)[f"{head}:a"].content == b"x" * 11
    blob = read_blobs(git, [f"{head}:a"], 10)[f"{head}:a"]
    assert (blob.size, blob.content) == (11, None)


def test_commits_of_a_branch(git: Git) -> None:
    ids = []
    for number in range(3):
        (git.directory / "a").write_text(str(number))
        ids.append(commit(git.directory, f"change {number}\n\nwith | more\n\nlines"))
    found = first_parents(git, "main", 2)
    assert [(c.oid, c.subject, c.author) for c in found] == [
        (ids[2], "change 2", "Ada"), (ids[1], "change 1", "Ada"),
    ]  # fmt: skip
    assert found[0].when.startswith("20")
    with pytest.raises(GitError):
        first_parents(git, "nowhere", 2)
