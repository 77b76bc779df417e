"""What is written into DVC's state database, and what DVC makes of it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlbutler.project.dvc_state import DvcStateWriter
from mlbutler.project.project import Project
from mlbutler.store.interface import ObjectId
from tests.project.test_checkout import dvc

HASH, LEGACY = ObjectId("1" * 32), ObjectId("2" * 32, legacy=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("state_writer")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    dvc(root, "init", "-q")
    return root


@pytest.fixture
def root(project: Path) -> Iterator[Path]:
    """A folder of the project with data of the test's own."""
    with tempfile.TemporaryDirectory(dir=project) as folder:
        (Path(folder) / "data" / "sub").mkdir(parents=True)
        for name in ("a é.txt", "sub/b"):
            (Path(folder) / "data" / name).write_text("content")
        yield Path(folder)


@pytest.fixture
def repo(project: Path) -> Any:
    return Project(project).repo


def hash_known_to_dvc(repo: Any, path: Path) -> tuple[str, str] | None:
    """The algorithm and hash that DVC takes for the file's own, None where it would hash it."""
    _, found = repo.state.get(str(path), repo.fs)
    return (found.name, found.value) if found else None


def states(root: Path, *names: str) -> dict[str, os.stat_result]:
    return {name: (root / "data" / name).stat() for name in names}


def test_dvc_takes_what_it_was_told_for_the_file_s_hash(root: Path, repo: Any) -> None:
    state_writer = DvcStateWriter(repo, root / "data", {"a é.txt": HASH, "sub/b": LEGACY})
    state_writer.commit(states(root, "a é.txt", "sub/b"))
    assert hash_known_to_dvc(repo, root / "data" / "a é.txt") == ("md5", "1" * 32)
    assert hash_known_to_dvc(repo, root / "data" / "sub" / "b") == ("md5-dos2unix", "2" * 32)


def test_a_file_alone_has_no_name_below(root: Path, repo: Any) -> None:
    path = root / "data" / "a é.txt"
    DvcStateWriter(repo, path, {"": HASH}).commit({"": path.stat()})
    assert hash_known_to_dvc(repo, path) == ("md5", "1" * 32)


@pytest.mark.parametrize("change", ["content", "another file", "touched"])
def test_a_file_that_became_another_than_was_told_before_is_hashed(root: Path, repo: Any, change: str) -> None:
    path = root / "data" / "a é.txt"
    DvcStateWriter(repo, root / "data", {"a é.txt": HASH}).preregister(states(root, "a é.txt"))
    assert hash_known_to_dvc(repo, path) == ("md5", "1" * 32)
    if change == "content":
        path.write_text("longer content")
    elif change == "touched":
        os.utime(path, ns=(5, 5))
    else:
        old = path.stat()
        path.rename(root / "kept")  # so that its inode is not used again
        path.write_text("CONTENT")
        os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert hash_known_to_dvc(repo, path) is None


def test_what_turned_out_otherwise_is_told_again_and_the_rest_is_not(
    root: Path, repo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    state_writer = DvcStateWriter(repo, root / "data", {"a é.txt": HASH, "sub/b": HASH})
    expected = states(root, "a é.txt", "sub/b")
    state_writer.preregister(expected)
    (root / "data" / "sub" / "b").write_text("made in another way")
    told: list[str] = []
    save = repo.state.save_many

    def saving(rows: list[tuple[str, object, object]], fs: object) -> None:
        told.extend(row[0] for row in rows)
        save(rows, fs)

    monkeypatch.setattr(repo.state, "save_many", saving)
    state_writer.commit(expected | states(root, "sub/b"))
    assert told == [str(root / "data" / "sub" / "b")]
    assert hash_known_to_dvc(repo, root / "data" / "sub" / "b") == ("md5", "1" * 32)
    assert hash_known_to_dvc(repo, root / "data" / "a é.txt") == ("md5", "1" * 32)


def test_a_database_that_cannot_be_written_is_done_without(
    root: Path, repo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(repo.state, "save_many", full)
    DvcStateWriter(repo, root / "data", {"sub/b": HASH}).commit(states(root, "sub/b"))
    monkeypatch.undo()
    assert hash_known_to_dvc(repo, root / "data" / "sub" / "b") is None
