"""Putting artifacts into the work tree, and knowing later that they are still what they were."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mlbutler.project.model import MD5
from mlbutler.project.opened import ProjectOptions
from mlbutler.project.project import Project
from mlbutler.state.hashes import HashCache
from tests import forked_python
from tests.watched import run_watched


def dvc(root: Path, *words: str) -> str:
    environ = os.environ | {"DVC_NO_ANALYTICS": "1"}
    done = forked_python.run("dvc", *words, cwd=root, env=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkout") / "project"
    root.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    dvc(root, "init", "-q")
    data = root / "data" / "deep er"
    data.mkdir(parents=True)
    for number in range(600):
        (data / f"file {number} é.txt").write_text(f"content {number % 500}")
    (root / "data" / "empty").touch()
    (root / "tool.sh").write_text("#!/bin/sh\necho works\n")
    (root / "tool.sh").chmod(0o755)
    (root / ".mlbutler").mkdir()
    dvc(root, "add", "-q", "data", "tool.sh")
    return root


@pytest.fixture
def root(master: Path, tmp_path: Path) -> Path:
    """A copy of the test's own; its data are the master's, which nobody changes, until they are laid out again."""
    root = tmp_path / "project"
    root.mkdir()
    subprocess.run(["cp", "-al", master / "data", master / "tool.sh", root], check=True)
    others = [path for path in master.iterdir() if path.name not in ("data", "tool.sh")]
    subprocess.run(["cp", "-a", *others, root], check=True)
    return root


def remove_outputs(root: Path) -> Project:
    subprocess.run(["rm", "-rf", "data", "tool.sh"], cwd=root, check=True)
    return Project(root)


def files(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in (root / "data").rglob("*") if p.is_file()}


@pytest.mark.parametrize("kind", ["default", "copy", "hardlink", "symlink"])
def test_dvc_agrees_with_what_was_laid_out_and_hashes_nothing(root: Path, kind: str) -> None:
    if kind != "default":
        dvc(root, "config", "cache.type", kind)
    before = files(root)
    remove_outputs(root).checkout.lay_out(["data", "tool.sh"])
    assert files(root) == before
    assert subprocess.run([str(root / "tool.sh")], capture_output=True, check=True).stdout == b"works\n"
    linked = os.lstat(root / "data" / "deep er" / "file 1 é.txt")
    assert (linked.st_nlink > 1) is (kind == "hardlink")
    assert stat.S_ISLNK(linked.st_mode) is (kind == "symlink")
    assert json.loads(dvc(root, "status", "--json")) == {}
    if kind != "symlink":
        assert not reads(root, ["status"])


def reads(root: Path, words: list[str]) -> list[str]:
    """Data files that DVC opens."""
    return run_watched(root, "dvc", *words, part="file ").opened


def test_what_is_in_place_is_not_read_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remove_outputs(root).checkout.lay_out(["data", "tool.sh"])
    project = Project(root)
    asked: list[str] = []
    monkeypatch.setattr("mlbutler.project.lay_out.checkout_with_dvc", lambda root, repo, paths: asked.extend(paths))
    project.checkout.lay_out(["data", "tool.sh"])
    assert asked == []


@pytest.mark.parametrize("change", ["content", "added", "removed", "replaced", "touched back"])
def test_a_change_in_the_work_tree_is_seen_and_put_right(root: Path, change: str) -> None:
    project = remove_outputs(root)
    project.checkout.lay_out(["data", "tool.sh"])
    before = files(root)
    victim = root / "data" / "deep er" / "file 7 é.txt"
    status = victim.stat()
    if change == "content":
        victim.write_text("Content 7")
    elif change == "added":
        (root / "data" / "more").write_text("more")
    elif change == "removed":
        victim.unlink()
    elif change == "replaced":
        victim.unlink()
        victim.write_text("Content 7")
    else:  # the same size and time of change: only the status change tells
        victim.write_text("Content 7")
        os.utime(victim, ns=(status.st_atime_ns, status.st_mtime_ns))
    again = Project(root, options=ProjectOptions(discard=True))
    recorded = again.stages.owners["data"][1].recorded
    assert recorded is not None
    assert again.hashes.get("data", MD5) is None
    if change != "touched back":  # DVC's own state is fooled by that
        again.checkout.lay_out(["data"])
        assert files(root) == before


def test_an_object_that_is_not_in_the_cache_leaves_nothing_half_there(root: Path) -> None:
    project = remove_outputs(root)
    objects = sorted(path for path in (root / ".dvc" / "cache" / "files" / "md5").rglob("*") if path.is_file())
    victim = next(path for path in objects if path.read_bytes() == b"content 7")
    victim.unlink()
    with pytest.raises(Exception, match=r"."):
        project.checkout.lay_out(["data"])
    assert not list((root / ".dvc" / "tmp").glob("mlbutler-*"))


def test_a_kill_while_laying_out_leaves_no_half_directory(root: Path) -> None:
    remove_outputs(root)
    program = (
        "import os, signal, threading\nfrom pathlib import Path\n"
        "from mlbutler.project import lay_out as checkout\nfrom mlbutler.project.project import Project\n"
        "made = checkout.duplicate\ncount = 0\n"
        "def slow(*args):\n    global count\n    count += 1\n"
        "    count > 300 and os.kill(os.getpid(), signal.SIGKILL)\n    made(*args)\n"
        "checkout.duplicate = slow\nProject(Path('.').resolve()).checkout.lay_out(['data'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, check=False)
    assert done.returncode == -9
    assert not (root / "data").exists()
    Project(root).checkout.lay_out(["data"])
    assert len(files(root)) == 601


def test_links_that_other_builds_make_and_drop_change_nothing(root: Path, tmp_path: Path) -> None:
    dvc(root, "config", "cache.type", "hardlink")
    remove_outputs(root).checkout.lay_out(["data"])
    recorded = HashCache(root).get("data", MD5)
    assert recorded is not None
    for number, path in enumerate((root / ".dvc" / "cache").rglob("*")):
        if path.is_file():
            (tmp_path / str(number)).hardlink_to(path)
    assert HashCache(root).get("data", MD5) == recorded
    victim = root / "data" / "deep er" / "file 1 é.txt"
    victim.chmod(0o644)
    victim.write_text("another 1")
    assert HashCache(root).get("data", MD5) is None
