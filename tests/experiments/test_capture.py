"""The work tree as a commit: all of it, and the work tree is as it was before."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbutler.errors import UsageError
from mlbutler.experiments import capture
from mlbutler.experiments.points import input_commit
from mlbutler.git import Git
from tests.experiments.conftest import snapshot

_NAMES = ("plain.txt", "data/deep/binary", "a b é.txt", "link", "run.sh")
_CONTENTS = (b"", b"one\n", b"two\r\n", bytes(range(256)), b"x" * 5000)
_ACTIONS = ("write", "delete", "rename", "mode", "link", "folder")


def run(root: Path, *words: str) -> str:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main")
    return subprocess.run(["git", *identity, *words], cwd=root, capture_output=True, text=True, check=True).stdout


def make_repository(folder: Path) -> Path:
    root = folder / "repository"
    root.mkdir()
    run(root, "init", "-q")
    for name in ("kept.txt", *_NAMES):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(f"{name}\n".encode())
    run(root, "add", "-A")
    run(root, "commit", "-qm", "first")
    return root


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path)


def act(root: Path, action: str, name: str, content: bytes) -> None:
    path = root / name
    if path.is_dir() and not path.is_symlink():
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    if action == "write":
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    elif action == "delete":
        path.unlink(missing_ok=True)
    elif action == "rename" and path.is_file() and not path.is_symlink():
        path.rename(root / f"{path.name}.moved")
    elif action == "mode" and path.is_file() and not path.is_symlink():
        path.chmod(path.stat().st_mode ^ 0o111)
    elif action == "link":
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to("kept.txt")
    elif action == "folder":
        path.unlink(missing_ok=True)
        path.mkdir(parents=True)
        (path / "inside").write_bytes(content)


def expected_tree(root: Path) -> str:
    """Return the tree that `git add --all` makes of the tracked files, in a clone of its own."""
    run(root, "add", "--update")
    return run(root, "write-tree").strip()


@given(
    changes=st.lists(
        st.tuples(st.sampled_from(_ACTIONS), st.sampled_from(_NAMES), st.sampled_from(_CONTENTS), st.booleans()),
        max_size=6,
    )
)
@settings(max_examples=25)
def test_all_changes_are_in_it_and_nothing_is_touched(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, str, bytes, bool]]
) -> None:
    root = make_repository(tmp_path_factory.mktemp("work"))
    for action, name, content, staged in changes:
        act(root, action, name, content)
        if staged:
            run(root, "add", "-A")
    git = Git(root)
    before = snapshot(root)
    captured = capture.capture_work_tree(git)
    commit = input_commit(git, captured, "", {})
    assert snapshot(root) == before
    assert input_commit(git, capture.capture_work_tree(git), "", {}) == commit, "the same work tree is the same commit"
    clean = run(root, "rev-parse", "HEAD^{tree}").strip() == captured.tree
    assert (commit == git.head()) is clean
    assert expected_tree(root) == captured.tree


def test_an_unsaved_stash_and_an_index_with_a_hidden_file_stay(repository: Path) -> None:
    (repository / "plain.txt").write_text("stashed\n")
    run(repository, "stash")
    run(repository, "update-index", "--assume-unchanged", "run.sh")
    (repository / "run.sh").write_text("my own\n")
    (repository / "new.txt").write_text("just added\n")
    run(repository, "add", "new.txt")
    before = snapshot(repository)
    captured = capture.capture_work_tree(Git(repository))
    assert snapshot(repository) == before
    assert run(repository, "show", f"{captured.tree}:new.txt") == "just added\n"
    assert run(repository, "show", f"{captured.tree}:run.sh") == "run.sh\n"


def test_untracked_files_come_only_when_asked_for(repository: Path) -> None:
    (repository / ".gitignore").write_text("*.bin\n")
    run(repository, "add", ".gitignore")
    for name in ("notes.txt", "weights.bin"):
        (repository / name).write_text("x")
    captured = capture.capture_work_tree(Git(repository))
    assert captured.untracked == ("notes.txt",)
    captured = capture.capture_work_tree(Git(repository), ["weights.bin", "notes.txt"])
    assert captured.untracked == ()
    assert "weights.bin" in run(repository, "ls-tree", "--name-only", captured.tree)
    with pytest.raises(UsageError, match="there is no other in the work tree"):
        capture.capture_work_tree(Git(repository), ["other"])
    with pytest.raises(UsageError, match=r"there is no \.\./x"):
        capture.capture_work_tree(Git(repository), ["../x"])
    (repository / "empty").mkdir()
    for path, said in ((".git", "belongs to this clone"), ("sub/../.git/hooks", "belongs to"), ("empty", "no file in")):
        (repository / "sub").mkdir(exist_ok=True)
        with pytest.raises(UsageError, match=said):
            capture.capture_work_tree(Git(repository), [path])
    with (repository / "weights.bin").open("wb") as file:
        file.truncate(11 << 20)
    with pytest.raises(UsageError, match=r"weights.bin is too large.*up to 10.0 MB") as error:
        capture.capture_work_tree(Git(repository), ["weights.bin"])
    assert "dvc add weights.bin" in error.value.remedy


def test_an_unresolved_merge_is_refused(repository: Path) -> None:
    run(repository, "checkout", "-qb", "other")
    (repository / "plain.txt").write_text("theirs\n")
    run(repository, "commit", "-qam", "theirs")
    run(repository, "checkout", "-q", "main")
    (repository / "plain.txt").write_text("ours\n")
    run(repository, "commit", "-qam", "ours")
    with pytest.raises(subprocess.CalledProcessError):
        run(repository, "merge", "-q", "other")
    before = snapshot(repository)
    with pytest.raises(UsageError, match=r"plain.txt cannot be sent: a merge is under way"):
        capture.capture_work_tree(Git(repository))
    assert snapshot(repository) == before


def test_a_change_within_the_clock_tick_of_the_index_is_seen(repository: Path) -> None:
    run(repository, "config", "core.trustctime", "false")  # of a file that was copied back
    path = repository / "plain.txt"
    tick = path.stat().st_mtime_ns - 10 * 10**9
    os.utime(path, ns=(tick, tick))
    run(repository, "update-index", "--really-refresh")
    path.write_text("PLAIN.TXT\n")  # as long as before, in the same inode
    for changed in (path, repository / ".git" / "index"):
        os.utime(changed, ns=(tick, tick))
    captured = capture.capture_work_tree(Git(repository))
    assert run(repository, "show", f"{captured.tree}:plain.txt") == "PLAIN.TXT\n"
