"""The commit of a point of a sweep is that of a work tree in which its parameters are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlbutler.errors import UsageError
from mlbutler.experiments.capture import capture_work_tree
from mlbutler.experiments.points import InputCommits
from mlbutler.git import Git
from mlbutler.project import overrides
from tests.conftest import GitCommand

FILES = {
    "sub/params.yaml": "rate: 1\n", "sub/deep/er/more.yaml": "depth: 1\n", "sub/other.yaml": "x: 1\n", "sub.txt": "x",
    "sub/run.json": '{"steps": 1}', "a é.txt": "x",
}  # fmt: skip


def tree_with(root: Path, git: GitCommand, files: dict[str, str]) -> str:
    """Return the tree of the work tree with this content of files, which then have their old one again."""
    for path, content in files.items():
        (root / path).write_text(content)
    git(root, "add", "-A")
    tree = git(root, "write-tree")
    git(root, "reset", "-q", "--hard")
    return tree


def test_it_has_the_parameters_and_all_else_as_it_was(tmp_path: Path, git: GitCommand) -> None:
    git(tmp_path, "init", "-q")
    for path, content in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    (tmp_path / "sub/run.json").chmod(0o755)
    (tmp_path / "sub/link.yaml").symlink_to("params.yaml")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    head = git(tmp_path, "rev-parse", "HEAD")
    repository = Git(tmp_path)
    inputs = InputCommits(repository, capture_work_tree(repository), "sub/")
    words = ("rate=2,3", "deep/er/more.yaml:depth=5", "run.json:steps=7")
    points, _ = overrides.points(words)
    made = [inputs.commit(point) for point in points]
    for commit, rate in zip(made, (2, 3), strict=True):
        changed = {
            "sub/params.yaml": f"rate: {rate}\n", "sub/deep/er/more.yaml": "depth: 5\n",
            "sub/run.json": git(tmp_path, "show", f"{commit}:sub/run.json"),
        }  # fmt: skip
        assert '"steps": 7' in changed["sub/run.json"]
        trailing = git(tmp_path, "cat-file", "-s", f"{commit}:sub/run.json")
        changed["sub/run.json"] += "\n" * (int(trailing) - len(changed["sub/run.json"]))
        assert git(tmp_path, "rev-parse", f"{commit}^{{tree}}") == tree_with(tmp_path, git, changed)
        assert git(tmp_path, "rev-parse", f"{commit}^") == head
    assert inputs.commit({}) == head
    ((same,), _) = overrides.points(["rate=1"])
    assert inputs.commit(same) == head
    git(tmp_path, "fsck")
    for file in ("none.yaml", "none/params.yaml", "link.yaml", "deep", "params.yaml/x"):
        (point,), _ = overrides.points([f"{file}:rate=2"])
        with pytest.raises(UsageError, match="Git does not track"):
            inputs.commit(point)
