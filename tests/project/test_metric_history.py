"""Metrics at the commits of a branch."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from mlbutler.errors import GitError
from mlbutler.project.metric_history import LARGEST, metric_history
from mlbutler.project.project import Project
from tests.project.conftest import commit, dvc


def git(root: Path, *args: str) -> None:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    subprocess.run(["git", *identity, *args], cwd=root, check=True, capture_output=True)


@pytest.fixture
def mono(tmp_path: Path) -> Path:
    """A project in a folder of its repository, with one metrics file that Git keeps."""
    root = tmp_path / "mono" / "ml é"
    root.mkdir(parents=True)
    git(root.parent, "init", "-q", "-b", "main")
    dvc(root, "init", "-q", "--subdir")
    (root / "dvc.yaml").write_text("metrics: [m.json]\n")
    (root / "m.json").write_text('{"a": 1}')
    commit(root, "one")
    return root


def contents(root: Path, prefix: str, path: str, tip: str = "HEAD", limit: int = 10) -> list[bytes | None]:
    past = metric_history(Project(root, {}).snapshots, prefix, tip, limit)
    return [moment.metrics[path].content if path in moment.metrics else None for moment in past]


def test_the_newest_is_first_and_only_so_many_are_read(mono: Path) -> None:
    for value in (2, 3):
        (mono / "m.json").write_text(f'{{"a": {value}}}')
        commit(mono, f"m {value}")
    assert contents(mono, "ml é/", "m.json") == [b'{"a": 3}', b'{"a": 2}', b'{"a": 1}']
    assert contents(mono, "ml é/", "m.json", limit=2) == [b'{"a": 3}', b'{"a": 2}']


def test_a_merged_branch_counts_once(mono: Path) -> None:
    git(mono, "checkout", "-q", "-b", "side")
    for value in (7, 8):
        (mono / "m.json").write_text(f'{{"a": {value}}}')
        commit(mono, f"m {value}")
    git(mono, "checkout", "-q", "main")
    git(mono, "merge", "-q", "--no-ff", "-m", "merge side\n\nwith more", "side")
    assert contents(mono, "ml é/", "m.json") == [b'{"a": 8}', b'{"a": 1}']
    [merge, _] = metric_history(Project(mono, {}).snapshots, "ml é/", "HEAD", 10)
    assert (merge.commit.subject, merge.commit.author) == ("merge side", "Ada")


def test_a_commit_without_the_file_has_none(mono: Path) -> None:
    git(mono, "rm", "-q", "m.json")
    commit(mono, "gone")
    (mono / "m.json").write_text('{"a": 2}')
    commit(mono, "back")
    assert contents(mono, "ml é/", "m.json") == [b'{"a": 2}', None, b'{"a": 1}']


def test_odd_names_and_large_files(mono: Path) -> None:
    (mono / "dvc.yaml").write_text('metrics: ["a \\"b\\": ☃.json", m.json]\n')
    (mono / 'a "b": ☃.json').write_text('{"a": 5}')
    (mono / "m.json").write_text(" " * (LARGEST + 1))
    commit(mono, "odd")
    [newest, _] = metric_history(Project(mono, {}).snapshots, "ml é/", "HEAD", 10)
    assert newest.metrics['a "b": ☃.json'].content == b'{"a": 5}'
    assert newest.metrics["m.json"].content is None
    assert "larger than 1 MB" in newest.metrics["m.json"].problem


def test_metrics_that_dvc_keeps_are_read_from_the_cache_alone(full: Path) -> None:
    text = (full / "dvc.yaml").read_text().replace("{cache: false}", "{cache: true}")
    (full / "dvc.yaml").write_text(text)
    git(full, "rm", "-q", "--cached", "m1.json", "m2.json")
    with (full / ".gitignore").open("a") as ignored:
        ignored.write("/m1.json\n/m2.json\n")
    commit(full, "m1.json and m2.json leave Git")  # before DVC takes them
    dvc(full, "repro", "-q")
    (full / "README").write_text("unrelated")
    commit(full, "unrelated")
    (full / "params.yaml").write_text("n: 7\nother: 1\n")
    dvc(full, "repro", "-q")
    commit(full, "another n")
    dvc(full, "push", "-q")
    assert contents(full, "", "m1.json", limit=2) == [b'{"acc":0.17}\n', b'{"acc":0.15}\n']
    shutil.rmtree(full / ".dvc" / "cache")
    past = metric_history(Project(full, {}).snapshots, "", "HEAD", 2)
    assert [moment.metrics["m1.json"].content for moment in past] == [None] * 2
    assert "in neither cache nor mirror; the remote was not asked" in past[0].metrics["m1.json"].problem


def test_no_project_there_and_no_such_commit(mono: Path, tmp_path: Path) -> None:
    assert metric_history(Project(mono, {}).snapshots, "elsewhere/", "HEAD", 3) == ()
    with pytest.raises(GitError):
        metric_history(Project(mono, {}).snapshots, "ml é/", "0" * 40, 3)
