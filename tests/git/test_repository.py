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


def test_an_author_and_his_message_are_read_at_once(tmp_path: Path, git: GitCommand) -> None:
    git(tmp_path, "init", "-q")
    message = "Ünïcode in the first line\n\nA body;\n  with an indent\n\nReviewed-by: Someone <a@b.c>"
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", message, "--author", "Zoë O'Neil <zoe@example.org>")
    git(tmp_path, "commit", "-q", "--allow-empty", "--allow-empty-message", "-m", "")
    repository = Git(tmp_path, {"PATH": "/usr/bin:/bin"})
    assert repository.described("HEAD~1") == ("Zoë O'Neil", message)
    assert repository.described("HEAD") == ("Ada", "")


def test_another_folder_of_the_work_tree_has_the_same_top(tmp_path: Path, git: GitCommand) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "project" / "sub").mkdir(parents=True)
    (tmp_path / "project" / "file").touch()
    repository = Git(tmp_path / "project" / "sub", {"PATH": "/usr/bin:/bin"})
    top = repository.toplevel()
    other = repository.at(tmp_path / "project")
    assert other.toplevel() == top == tmp_path.resolve()
    assert other.directory == tmp_path / "project"
    assert other.run("ls-files", "--others").text.split() == ["file"]  # it works there
    assert repository.at(tmp_path).run("ls-files", "--others").text.split() == ["project/file"]


def test_where_there_is_no_repository_the_whole_path_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        Git(Path(), {"PATH": "/usr/bin:/bin", "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}).toplevel()
    assert caught.value.message == f"Not a git repository: {tmp_path}"


@pytest.mark.parametrize("now", ["deleted", "taken back", "as expected"])
def test_a_push_goes_onto_what_is_expected_there_alone(tmp_path: Path, git: GitCommand, now: str) -> None:
    bare, clone = tmp_path / "bare.git", tmp_path / "clone"
    git(tmp_path, "init", "-q", "--bare", str(bare))
    git(tmp_path, "clone", "-q", str(bare), str(clone))
    for text in ("one", "two"):
        git(clone, "commit", "-q", "--allow-empty", "-m", text)
    tip = git(clone, "rev-parse", "HEAD")
    git(clone, "push", "-q", "origin", "HEAD:refs/heads/work")
    results = git(clone, "commit-tree", "HEAD^{tree}", "-p", tip, "-m", "results")
    if now == "deleted":
        git(bare, "update-ref", "-d", "refs/heads/work")
    elif now == "taken back":
        git(bare, "update-ref", "refs/heads/work", f"{tip}~1")
    before = git(bare, "for-each-ref")
    done = Git(clone, {"PATH": "/usr/bin:/bin"}).push("origin", results, "refs/heads/work", expected=tip)
    if now == "as expected":
        assert (done.code, git(bare, "rev-parse", "refs/heads/work")) == (0, results)
    else:
        assert "stale info" in done.text
        assert git(bare, "for-each-ref") == before


def test_a_full_disk_is_said_with_where_it_is_and_what_is_free(tmp_path: Path) -> None:
    said = "error: unable to write loose object file: No space left on device\nfatal: failed to write object\n"
    error = Git.failure("add", said, network=False, where=tmp_path)
    assert "git add failed, since the disk is full" in error.message
    assert f"are free for {tmp_path}" in error.message
    assert "Free some space" in error.remedy
    there = Git.failure("push", "remote: fatal: write error: No space left on device\nerror: failed to push\n")
    assert "the disk is full" not in there.message


@pytest.mark.parametrize(
    ("what", "holds"),
    [
        ("nothing", True), ("ignored", True), ("modified", False), ("staged", False), ("new", False), ("gone", False),
        ("unlooked at", False), ("skipped", False), ("another commit", False),
    ],
)  # fmt: skip
def test_whether_a_work_tree_is_as_its_commit(tmp_path: Path, git: GitCommand, what: str, holds: bool) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("ignored\n")
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    match what:
        case "ignored" | "new":
            (tmp_path / what).touch()
        case "modified" | "staged":
            (tmp_path / "file").write_text("2")
            if what == "staged":
                git(tmp_path, "add", "file")
        case "gone":
            (tmp_path / "file").unlink()
        case "unlooked at":
            git(tmp_path, "update-index", "--assume-unchanged", "file")
        case "skipped":
            git(tmp_path, "update-index", "--skip-worktree", "file")
        case "another commit":
            git(tmp_path, "commit", "-q", "--allow-empty", "-m", "second")
    assert Git(tmp_path, {"PATH": "/usr/bin:/bin"}).holds_only(commit) is holds
