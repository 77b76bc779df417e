"""Directories whose files a second process hardlinks, begun before the cache has their objects."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlbutler.project.opened import ProjectOptions
from mlbutler.project.project import Project
from mlbutler.store import linking
from mlbutler.store.engine import BringOptions, Brought, bring
from mlbutler.store.interface import Need, ObjectId
from mlbutler.store.linking import MANY, LinkWorker
from mlbutler.store.local import LocalStore
from tests import forked_python
from tests.store.world import add_directory, md5, unsound
from tests.watched import run_watched

FEW = 200
"""So many files are begun early here; `MANY` in one test, where it matters."""
NAME = "part 0/00003 é.bin"


def files_of(many: int) -> dict[str, bytes]:
    """As many files as are begun early, and some more, of which some are the same."""
    return {f"part {n % 3}/{n:05} é.bin": f"content {n % (many + 50)}".encode() for n in range(many + 100)}


FILES = files_of(FEW)


def run(root: Path, *words: str) -> str:
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass
class World:
    """A project whose directory `data` is in the mirror and on the remote, and not here."""

    root: Path
    mirror: LocalStore
    remote: LocalStore
    need: Need

    @property
    def cache(self) -> Path:
        return self.root / ".dvc" / "cache"

    def scratch(self) -> list[Path]:
        return list((self.root / ".dvc" / "tmp").glob("mlbutler-*"))

    def sync(self, between: Callable[[], None] = lambda: None) -> Brought:
        project = Project(self.root, options=ProjectOptions(hardlink=True))
        cache = LocalStore("cache", self.cache)
        with project.checkout.eager_links(["data"], self.mirror) as early:
            brought = bring([self.need], cache, self.mirror, self.remote, BringOptions(opened=early.begin))
            between()
            paths = [self.need.path] if self.need.path not in brought.incomplete else []
            project.checkout.lay_out(paths, verified=cache.verified, early=early)
        return brought

    def files(self) -> dict[str, bytes]:
        top = self.root / "data"
        return {path.relative_to(top).as_posix(): path.read_bytes() for path in top.rglob("*") if path.is_file()}

    def inodes(self, name: str) -> set[int]:
        oid = ObjectId(md5(FILES[name]))
        places = (self.root / "data" / name, self.cache / oid.key, self.mirror.path(oid))
        return {place.stat().st_ino for place in places}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for module in ("project.directory_links", "project.lay_out", "store.linking"):
        monkeypatch.setattr(f"mlbutler.{module}.MANY", FEW)
    with make_world(tmp_path, FILES) as world:
        yield world


@contextmanager
def make_world(tmp_path: Path, files: Mapping[str, bytes]) -> Iterator[World]:
    root = tmp_path / "project"
    root.mkdir()
    run(root, "git", "init", "-q")
    assert forked_python.run("dvc", "init", "-q", cwd=root).returncode == 0
    (root / ".mlbutler").mkdir()
    mirror, remote = LocalStore("mirror", tmp_path / "mirror", hardlink=True), LocalStore("remote", tmp_path / "remote")
    oid = add_directory(remote.root, files)
    size = sum(map(len, files.values()))
    entry = {"outs": [{"md5": oid.md5, "size": size, "nfiles": len(files), "hash": "md5", "path": "data"}]}
    (root / "data.dvc").write_text(json.dumps(entry))
    need = Need("data", oid, (), size)
    # A build before this one filled the mirror, and knows its objects.
    before = bring([need], LocalStore("cache", tmp_path / "other"), mirror, remote)
    assert not before.missing
    assert not before.errors
    yield World(root, LocalStore("mirror", mirror.root, hardlink=True), remote, need)
    assert not unsound(root / ".dvc" / "cache")


def reads(root: Path) -> int:
    """How many data files `dvc status` opens; it says that nothing has changed."""
    done = run_watched(root, "dvc", "status", "--json", part=".bin")
    assert done.said.strip() == "{}"
    return len(done.opened)


def test_links_that_were_begun_early_are_mirror_cache_and_work_tree_in_one(tmp_path: Path) -> None:
    begun: list[list[Path]] = []
    files = files_of(MANY)
    with make_world(tmp_path, files) as world:
        world.sync(lambda: begun.append(world.scratch()))
        assert len(begun[0]) == 1
        assert world.files() == files
        assert len(world.inodes(NAME)) == 1
        assert not world.scratch()
        assert reads(world.root) == 0


@pytest.mark.parametrize("how", ["no second core", "none can be started", "killed"])
def test_without_the_second_process_it_is_done_all_the_same(
    world: World, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = LinkWorker.result

    def kill_first(self: LinkWorker) -> bytes:
        self._process.kill()
        return whole(self)

    with monkeypatch.context() as patched:
        if how == "no second core":
            patched.setattr(linking, "cores", lambda: 1)
        elif how == "none can be started":
            patched.setattr(sys, "executable", "/nonexistent/python")
        else:
            patched.setattr(LinkWorker, "result", kill_first)
        world.sync()
    assert world.files() == FILES
    assert not world.scratch()
    assert reads(world.root) == 0


def test_an_object_that_was_damaged_in_the_mirror_reaches_neither_cache_nor_work_tree(world: World) -> None:
    damaged = world.mirror.path(ObjectId(md5(FILES[NAME])))
    damaged.chmod(0o644)
    damaged.write_bytes(b"damaged"[: len(FILES[NAME])].ljust(len(FILES[NAME])))
    damaged.chmod(0o444)
    brought = world.sync()
    assert {moved.place: moved.objects for moved in brought.moved}["remote"] == 1
    assert world.files() == FILES
    assert reads(world.root) == 0


def test_an_object_that_the_cache_has_as_a_file_of_its_own_is_linked_from_there(world: World) -> None:
    oid = ObjectId(md5(FILES[NAME]))
    own = world.cache / oid.key
    own.parent.mkdir(parents=True)
    own.write_bytes(FILES[NAME])
    own.chmod(0o444)
    world.sync()
    assert world.files() == FILES
    assert (world.root / "data" / NAME).stat().st_ino == own.stat().st_ino != world.mirror.path(oid).stat().st_ino
    assert reads(world.root) == 0


def test_what_was_begun_is_given_up_where_an_object_is_in_no_store(world: World) -> None:
    oid = ObjectId(md5(FILES[NAME]))
    for store in (world.mirror, world.remote):
        store.path(oid).unlink()
    brought = world.sync()
    assert [missing.oid for missing in brought.missing] == [oid]
    assert not (world.root / "data").exists()
    assert not world.scratch()


def test_what_a_killed_process_has_begun_is_removed_by_the_next(world: World) -> None:
    left = world.root / ".dvc" / "tmp" / "mlbutler-999999999-0"
    (left / "part 0").mkdir(parents=True)
    (left / "part 0" / "file").touch()
    world.sync()
    assert not world.scratch()
    assert world.files() == FILES


def test_a_directory_that_is_there_is_not_begun(world: World) -> None:
    (world.root / "data").mkdir()
    begun: list[list[Path]] = []
    world.sync(lambda: begun.append(world.scratch()))
    assert begun == [[]]
    assert world.files() == FILES
