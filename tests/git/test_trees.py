"""Folders and commits of a real repository, many at once."""

from __future__ import annotations

import subprocess
from pathlib import Path

from mlbutler.git import Git
from mlbutler.git.log import log
from mlbutler.git.trees import Trees
from tests.project.conftest import commit


def test_folders_files_and_commits(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=tmp_path, check=True)
    (tmp_path / "a b" / "ü").mkdir(parents=True)
    (tmp_path / "a b" / "dvc.yaml").write_text("1")
    (tmp_path / "a b" / "ü" / "dvc.yaml").write_text("2")
    (tmp_path / "link").symlink_to("a b")
    first = commit(tmp_path, "first")
    (tmp_path / "a b" / "dvc.yaml").unlink()
    (tmp_path / "other").write_text("3")
    second = commit(tmp_path, "zweite Änderung\n\nMlbutler-Build: https://ci.example/7")
    git = Git(tmp_path)
    subprocess.run(["git", "branch", "old", first], cwd=tmp_path, check=True)

    newest, oldest = log(git, ["refs/heads/main", "refs/heads/old"], trailers=["Mlbutler-Build"])
    assert (newest.oid, oldest.oid, newest.parents, oldest.parents) == (second, first, (first,), ())
    assert (newest.subject, newest.author) == ("zweite Änderung", "Ada")
    assert newest.trailers == {"Mlbutler-Build": "https://ci.example/7"}
    assert (newest.source, oldest.source) == ("refs/heads/main", "refs/heads/old")
    assert log(git, ["refs/heads/main"], without=[second]) == ()
    assert [found.oid for found in log(git, [second], "--no-walk=unsorted")] == [second]
    assert log(git, []) == ()

    trees = Trees(git)
    both = [newest.tree, oldest.tree]
    listed = trees.matching_files(both, lambda name: name == "dvc.yaml")
    assert [[path for path, _ in listed[tree]] for tree in both] == [
        ["a b/ü/dvc.yaml"], ["a b/dvc.yaml", "a b/ü/dvc.yaml"],
    ]  # fmt: skip
    assert set(trees.files(both, "other")) == {newest.tree}
    assert set(trees.folders(both, "a b/ü/")) == set(both)
    assert trees.folders(both, "link") == trees.files(both, "link") == {}  # nothing is read through a link
    assert trees.below(oldest.tree, "a b") == ("dvc.yaml", "ü/dvc.yaml")
    for tree, of in zip(both, (second, first), strict=True):
        told = {entry.path: entry.oid for entry in git.tree(of) if entry.mode.startswith("100")}
        assert dict(trees.matching_files([tree], lambda _: True)[tree]) == told
