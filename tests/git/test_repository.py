"""Running git: what a clone says, and how a remote that does not answer is reported."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from mlbutler.errors import GitError, UsageError
from mlbutler.git import Git
from mlbutler.git.address import RemoteAccess
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
    assert repository.author_and_message("HEAD~1") == ("Zoë O'Neil", message)
    assert repository.author_and_message("HEAD") == ("Ada", "")


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


def _here(tmp_path: Path) -> Git:
    return Git(tmp_path, {"PATH": "/usr/bin:/bin"})


def test_a_work_tree_whose_path_has_a_newline_is_found(tmp_path: Path, git: GitCommand) -> None:
    (folder := tmp_path / "one\ntwo").mkdir()
    git(folder, "init", "-q")
    git(folder, "commit", "-q", "--allow-empty", "-m", "one")
    (folder / "a").mkdir()
    for place in (folder, folder / "a"):
        repository = _here(place)
        assert repository.toplevel() == folder.resolve()
        assert repository.path("objects").resolve() == (folder / ".git" / "objects").resolve()


def test_a_linked_work_tree_has_the_objects_of_its_repository(tmp_path: Path, git: GitCommand) -> None:
    git(tmp_path, "init", "-q", "clone")
    git(tmp_path / "clone", "commit", "-q", "--allow-empty", "-m", "one")
    git(tmp_path / "clone", "worktree", "add", "-q", "../linked")
    repository = _here(tmp_path / "linked")
    assert repository.toplevel() == (tmp_path / "linked").resolve()
    assert repository.path("objects").resolve() == (tmp_path / "clone" / ".git" / "objects").resolve()
    assert not repository.is_shallow()


def test_a_repository_without_a_commit_has_a_root_and_says_what_it_lacks(tmp_path: Path, git: GitCommand) -> None:
    git(tmp_path, "init", "-q")
    repository = _here(tmp_path)
    assert repository.toplevel() == tmp_path.resolve()
    for ask in (repository.heads, repository.head, repository.read_head):
        with pytest.raises(UsageError, match="no commits yet"):
            ask()


def test_head_is_read_as_it_is_whatever_lies_beside_it(tmp_path: Path, git: GitCommand) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "config", "log.showSignature", "true")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "one")
    (tmp_path / "HEAD").touch()
    repository = _here(tmp_path)
    first = repository.read_head()
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "two\n\nA body")
    assert first == git(tmp_path, "rev-parse", "HEAD~1")
    assert repository.read_head() == git(tmp_path, "rev-parse", "HEAD")
    assert repository.author_and_message(repository.head()) == ("Ada", "two\n\nA body")
    assert (repository.parents(repository.head()), repository.parents(first)) == ((first,), ())


def test_parents_that_a_shallow_clone_lacked_are_there_once_it_has_them(tmp_path: Path, git: GitCommand) -> None:
    git(tmp_path, "init", "-q", "author")
    for text in ("one", "two"):
        git(tmp_path / "author", "commit", "-q", "--allow-empty", "-m", text)
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{tmp_path}/author", "clone")
    repository = _here(tmp_path / "clone")
    head = repository.read_head()
    assert repository.parents(head) == ()
    git(tmp_path / "clone", "fetch", "-q", "--unshallow")
    assert repository.read_head() == head
    assert repository.parents(head) == (git(tmp_path / "author", "rev-parse", "HEAD~1"),)


def test_what_differs_from_head_is_told_with_the_branch(tmp_path: Path, git: GitCommand) -> None:
    git(tmp_path, "init", "-q", "-b", "work")
    for name in ("a file", "both", "gone", "same", "staged"):
        (tmp_path / name).write_text("1")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "one")
    git(tmp_path, "tag", "work")
    assert _here(tmp_path).work_tree() == ("work", (), ())
    git(tmp_path, "checkout", "-q", "-b", "other")
    (tmp_path / "both").write_text("2")
    git(tmp_path, "commit", "-qam", "other")
    git(tmp_path, "checkout", "-q", "work")
    (tmp_path / "both").write_text("3")
    git(tmp_path, "commit", "-qam", "work")
    with pytest.raises(AssertionError, match="merge"):
        git(tmp_path, "merge", "-q", "other")
    (tmp_path / "a file").write_text("22")
    (tmp_path / "gone").unlink()
    (tmp_path / "staged").write_text("22")
    git(tmp_path, "add", "staged")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "ünï code").touch()
    found = _here(tmp_path).work_tree()
    assert tuple(found) == ("work", ("a file", "both", "gone", "staged"), ("new/ünï code",))
    assert (*found.changed, *found.untracked) == _here(tmp_path).dirty(untracked=True)
    assert found.branch == _here(tmp_path).branch()
    git(tmp_path, "checkout", "-q", "--force", "--detach")
    assert _here(tmp_path).work_tree().branch is None


def test_remotes_are_told_with_where_they_are_fetched_from(tmp_path: Path, git: GitCommand) -> None:
    git(tmp_path, "init", "-q")
    assert _here(tmp_path).remotes() == {}
    git(tmp_path, "remote", "add", "origin", "short:a b (fetch)")
    git(tmp_path, "remote", "set-url", "--push", "origin", "/elsewhere")
    git(tmp_path, "config", "url./long/.insteadOf", "short:")
    git(tmp_path, "config", "remote.none.fetch", "+refs/heads/*:refs/remotes/none/*")
    git(tmp_path, "remote", "add", "partial", "/there")
    git(tmp_path, "config", "remote.partial.promisor", "true")
    git(tmp_path, "config", "remote.partial.partialCloneFilter", "blob:none")
    told = {"none": "", "origin": "/long/a b (fetch)", "partial": "/there"}
    assert _here(tmp_path).remotes() == told
    assert git(tmp_path, "remote", "get-url", "origin") == told["origin"]


@pytest.mark.parametrize("server", [False, True])
def test_files_of_a_commit_are_read_together(tmp_path: Path, git: GitCommand, server: bool) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("there")
    (tmp_path / "two\nlines").write_text("and there")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "one")
    access = RemoteAccess(None, fresh=False) if server else None
    repository, commit = Git(tmp_path, {"PATH": "/usr/bin:/bin"}, access), git(tmp_path, "rev-parse", "HEAD")
    asked = ["folder/file", "folder", "none", "folder/none", "folder/file/below", "two\nlines"]
    for rev in (commit, "HEAD"):
        assert repository.show_all(rev, asked[:-1]) == dict.fromkeys(asked[:-1]) | {"folder/file": b"there"}
        assert repository.show_all(rev, asked)["two\nlines"] == b"and there"
    (tmp_path / "folder" / "file").write_text("another")
    git(tmp_path, "commit", "-qam", "two")
    assert (repository.show("HEAD", "folder/file"), repository.show(commit, "folder/file")) == (b"another", b"there")


def test_what_was_read_before_the_projects_code_ran_is_read_again_and_checked(tmp_path: Path, git: GitCommand) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("mine")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "one")
    commit, blob = git(tmp_path, "rev-parse", "HEAD"), git(tmp_path, "rev-parse", "HEAD:file")
    before = Git(tmp_path, {"PATH": "/usr/bin:/bin"}, RemoteAccess(None, fresh=True))
    assert before.show(commit, "file") == b"mine"
    stored = tmp_path / ".git" / "objects" / blob[:2] / blob[2:]
    stored.chmod(0o600)
    stored.write_bytes(zlib.compress(b"blob 5\0yours"))
    with pytest.raises(GitError, match="does not match its id"):
        before.reaching(RemoteAccess(None, fresh=False)).show(commit, "file")
