"""Many files put into the work tree by hardlinks, some of them by a second process."""

from __future__ import annotations

import functools
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlbutler.project import lay_out as checkout
from mlbutler.project.opened import ProjectOptions
from mlbutler.project.project import Project
from mlbutler.remotes.opening import open_cache
from mlbutler.state.verified import VerifiedObjects
from mlbutler.store import linker, linking
from mlbutler.store.engine import bring
from mlbutler.store.interface import Need, ObjectId
from mlbutler.store.linking import MANY
from mlbutler.store.local import LocalStore
from tests.project.test_checkout import dvc
from tests.store.world import add_directory, md5, second_processes
from tests.watched import run_watched

SMALL, LARGE = 800, MANY + 500
SAME = 150
"""Names whose content is that of another name."""
large = pytest.mark.parametrize("count", [LARGE])


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> int:
    """Files of the project; few, and taken for many, where the test does not say otherwise."""
    monkeypatch.setattr(linking, "MANY", SMALL - 300)
    monkeypatch.setattr(checkout, "MANY", SMALL - 300)
    return SMALL


@functools.cache
def master(directory: Path, count: int) -> Path:
    """A project whose data is in its cache alone."""
    root = directory / f"project-{count}"
    root.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    dvc(root, "init", "-q")
    (root / ".mlbutler").mkdir()
    files = {
        f"folder {number % 11}/ü{number % 3}/file {number} é.txt": f"content {number % (count - SAME)}".encode()
        for number in range(count)
    }
    folder = add_directory(root / ".dvc" / "cache", files)
    size = sum(map(len, files.values()))
    (root / "data.dvc").write_text(
        f"outs:\n- md5: {folder.md5}\n  size: {size}\n  nfiles: {count}\n  hash: md5\n  path: data\n"
    )
    return root


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("links")


@pytest.fixture
def root(directory: Path, count: int, tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "project"
    subprocess.run(["cp", "-al", str(master(directory, count)), str(root)], check=True)
    (root / "data.dvc").chmod(0o644)
    yield root
    shutil.rmtree(root)


@pytest.fixture
def project(root: Path) -> Project:
    return Project(root, options=ProjectOptions(hardlink=True))


@pytest.fixture(autouse=True)
def workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The second processes that were started; each has ended when the test has."""
    monkeypatch.setattr(linking, "cores", lambda: 2)
    yield from second_processes(monkeypatch)


def bring_all(project: Project) -> VerifiedObjects:
    """What the cache knows after all was brought."""
    cache = open_cache(project)
    [artifact] = project.artifacts()
    assert artifact.oid is not None
    brought = bring([Need("data", artifact.oid)], cache, None, None)
    assert not brought.missing
    return cache.verified


def wrong(root: Path, count: int) -> list[str]:
    """Names below `data` that are no hardlinks to the cache's object of their content, or that should not be there."""
    store = LocalStore("cache", root / ".dvc" / "cache")
    found = []
    files = [path for path in (root / "data").rglob("*") if path.is_file()]
    for path in files:
        number = int(path.name.split()[1])
        content = f"content {number % (count - SAME)}"
        if path.read_text() != content or not path.samefile(store.path(ObjectId(md5(content.encode())))):
            found.append(path.name)
    return found if len(files) == count else [*found, f"{len(files)} files"]


def run_dvc_status(root: Path) -> tuple[object, list[str]]:
    """`dvc status`, and the data files that it opened for that."""
    done = run_watched(root, "dvc", "status", "--json", part="file ")
    return json.loads(done.said), done.opened


def half_there(root: Path) -> list[Path]:
    return [path for path in (root / "data", *(root / ".dvc" / "tmp").glob("mlbutler-*")) if path.exists()]


class Counting:
    """Stand in for the display of how many files are there."""

    def __init__(self) -> None:
        self.files = 0

    def advance(self, objects: int = 0, nbytes: int = 0) -> None:
        self.files += objects


@large
def test_all_are_links_and_dvc_agrees_without_reading_one(
    root: Path, count: int, project: Project, workers: list[subprocess.Popen[bytes]]
) -> None:
    progress = Counting()
    project.checkout.lay_out(["data"], progress, bring_all(project))
    assert progress.files == count
    assert [process.returncode for process in workers] == [0]
    assert wrong(root, count) == []
    assert run_dvc_status(root) == ({}, [])
    again = Project(root)
    assert again.hashes.unchanged_paths() == {"data"}
    (root / "data" / "folder 3" / "more").write_text("more")
    assert Project(root).hashes.unchanged_paths() == frozenset()


def test_a_cached_object_that_was_replaced_since_it_was_looked_at(root: Path, count: int, project: Project) -> None:
    whole = bring_all(project)
    store = LocalStore("cache", root / ".dvc" / "cache")
    replaced = [f"content {number}" for number in (3, count // 2, count - SAME - 3)]
    for content in replaced:
        path = store.path(ObjectId(md5(content.encode())))
        other = path.with_name("other")
        shutil.copy2(path, other)
        other.replace(path)
    project.checkout.lay_out(["data"], None, whole)
    assert wrong(root, count) == []
    status, read = run_dvc_status(root)
    assert status == {}
    assert {Path(name).read_text() for name in read} <= set(replaced)  # DVC's state has the files that they were


@pytest.mark.parametrize("kind", ["killed", "cannot be started"])
def test_the_second_process_is_a_help_and_no_more(
    root: Path, count: int, project: Project, workers: list[subprocess.Popen[bytes]], kind: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    whole = bring_all(project)
    program = tmp_path / "killed.py"
    folder = str(Path(str(linker.__file__)).parent)
    program.write_text(
        f"import os, sys\nsys.path.insert(0, {folder!r})\nimport linker\nmade, count = linker.link, []\n"
        "def link(*words):\n    count.append(1)\n    len(count) > 1 and os.kill(os.getpid(), 9)\n"
        "    return made(*words)\nlinker.link = link\nlinker.main()\n"
    )
    if kind == "killed":
        monkeypatch.setattr(linker, "__file__", str(program))
    with monkeypatch.context() as without:
        if kind == "cannot be started":
            without.setattr(sys, "executable", "/nowhere/python")
        project.checkout.lay_out(["data"], None, whole)
    assert [process.returncode for process in workers] == ([-signal.SIGKILL] if kind == "killed" else [])
    assert wrong(root, count) == []
    if kind == "killed":  # all were written into DVC's state; those that were made here have to be written again
        assert run_dvc_status(root) == ({}, [])


class Interrupting:
    """Somebody presses Ctrl-C when so many files are there."""

    def __init__(self, after: int) -> None:
        self.left = after

    def advance(self, objects: int = 0, nbytes: int = 0) -> None:
        self.left -= objects
        if self.left < 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("after", [100, 300])
def test_an_interruption_leaves_nothing_half_there(
    root: Path, count: int, project: Project, workers: list[subprocess.Popen[bytes]], after: int, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    whole = bring_all(project)
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(999)\n")
    with monkeypatch.context() as slow, pytest.raises(KeyboardInterrupt):
        slow.setattr(linker, "__file__", str(tmp_path / "slow.py"))
        project.checkout.lay_out(["data"], Interrupting(after), whole)
    assert all(process.poll() is not None for process in workers)
    assert half_there(root) == []
    assert len(workers) == (after > 256)
    again = Project(root, options=ProjectOptions(hardlink=True))
    again.checkout.lay_out(["data"], None, whole)
    assert wrong(root, count) == []


def test_without_hardlinks_the_work_tree_s_files_are_its_own(
    root: Path, workers: list[subprocess.Popen[bytes]]
) -> None:
    project = Project(root)
    project.checkout.lay_out(["data"], None, bring_all(project))
    assert workers == []
    assert {path.stat().st_nlink for path in (root / "data").rglob("*") if path.is_file()} == {1}
