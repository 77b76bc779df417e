"""What is read below a folder is noted, with the names that were in each folder before."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbutler.state import read_recorder
from mlbutler.state.read_recorder import ReadRecorder, digest_of_others, names_in


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("sub/a.txt", ".git/HEAD", ".github/x.yml", ".mlbutler/record.json", "code.py", ".dvc/tmp/lock"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("sub")
    return tmp_path


def test_what_is_opened_and_listed_is_noted_while_it_records(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    read, elsewhere = ReadRecorder(root), tmp_path_factory.mktemp("elsewhere")
    (root / "sub" / "a.txt").read_text()
    with read.recording():
        for name in ("sub/a.txt", ".git/HEAD", ".github/x.yml", ".mlbutler/record.json", "code.py", ".dvc/tmp/lock"):
            (root / name).read_text()
        list(root.iterdir())
        list(os.scandir(os.fsencode(root / "sub")))
        list(elsewhere.iterdir())
    list((root / ".github").iterdir())
    assert list(read.files) == ["sub/a.txt", ".github/x.yml"]
    assert list(read.folders) == ["", "sub"]
    assert read.folders["sub"] == {("a.txt", "file")}
    assert ("link", "link") in read.folders[""]
    assert ("sub", "folder") in read.folders[""]


def test_names_are_those_from_before_it_was_listed_first(root: Path) -> None:
    read = ReadRecorder(root)
    with read.recording():
        os.listdir(root / "sub")  # noqa: PTH208
        (root / "sub" / "later").touch()
        os.listdir(root / "sub")  # noqa: PTH208
    assert read.folders["sub"] == {("a.txt", "file")}


def test_other_threads_are_noted_too(root: Path) -> None:
    read = ReadRecorder(root)
    with read.recording():
        thread = threading.Thread(target=lambda: os.listdir(root / "sub"))  # noqa: PTH208
        thread.start()
        thread.join()
    assert set(read.folders) == {"sub"}


def test_one_hook_serves_all(root: Path) -> None:
    """It can never be removed."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom mlbutler.state.read_recorder import ReadRecorder\n"
        "added = []\nadd = sys.addaudithook\nsys.addaudithook = lambda hook: (added.append(hook), add(hook))\n"
        "for _ in range(3):\n    with ReadRecorder(Path.cwd()).recording():\n        open('sub/a.txt').close()\n"
        "print(len(added))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
    assert read_recorder._recorders == []


names = st.dictionaries(st.sampled_from(["a", "b", "c", "d.dvc", "e"]), st.sampled_from(["file", "folder", "link"]))


@given(names, names, st.sets(st.sampled_from(["a", "b", "sub/a", "sub/b"])))
def test_only_names_that_lead_to_no_tracked_path_count(
    one: dict[str, str], other: dict[str, str], tracked: set[str]
) -> None:
    def digest(of: dict[str, str], folder: str) -> str:
        return digest_of_others(frozenset(of.items()), folder, tracked)

    for folder, prefix in (("", ""), ("sub", "sub/")):
        untracked = [{name: kind for name, kind in of.items() if prefix + name not in tracked} for of in (one, other)]
        assert (digest(one, folder) == digest(other, folder)) is (untracked[0] == untracked[1])


def test_a_folder_that_is_none_holds_nothing(root: Path) -> None:
    assert names_in(root, "nothing") == names_in(root, "sub/a.txt") == frozenset()
