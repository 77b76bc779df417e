"""Nothing is evicted from a directory that may be somebody's DVC remote."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mlbutler.errors import EXIT_USAGE
from mlbutler.store.interface import ObjectId
from mlbutler.store.local import LocalStore
from mlbutler.store.upkeep import mark, prune, uses
from mlbutler.store.upkeep.mark import UnmarkedMirror
from tests.store.world import add_object

DAY = 86400.0


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    now = time.time() + 10 * DAY
    monkeypatch.setattr("mlbutler.store.upkeep.prune.time.time", lambda: now)


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """A DVC remote in a directory, which builds have used as their mirror."""
    root = tmp_path / "remote"
    oid = add_object(root, b"the only copy")
    uses.acquire(root, [oid]).close()
    assert (root / uses.FOLDER).is_dir()
    return root


def objects(root: Path) -> int:
    return sum(1 for path in (root / "files").rglob("*") if path.is_file())


def test_a_mirror_that_mlbutler_began_loses_what_is_too_much(tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    mark.mark_if_empty(mirror)
    add_object(mirror, b"x" * 1000)
    assert prune.prune(mirror, 1).objects == 1


def test_an_empty_directory_is_begun_too(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "mlbutler").mkdir()
    mark.mark_if_empty(tmp_path)
    assert mark.is_marked(tmp_path)


@pytest.mark.parametrize("limit", [None, 1])
def test_a_remote_keeps_everything_though_builds_used_it_as_their_mirror(remote: Path, limit: int | None) -> None:
    mark.mark_if_empty(remote)
    with pytest.raises(UnmarkedMirror) as error:
        prune.prune(remote, limit, 0.0)
    assert error.value.exit_code == EXIT_USAGE
    assert f"--adopt {remote}" in error.value.remedy
    with pytest.raises(UnmarkedMirror):
        prune.keep_below(remote, 1)
    assert objects(remote) == 1


def test_an_old_layout_is_a_remote_too(tmp_path: Path) -> None:
    (tmp_path / "ab").mkdir()
    mark.mark_if_empty(tmp_path)
    assert not mark.is_marked(tmp_path)


def test_the_copy_of_a_mirror_is_none(tmp_path: Path) -> None:
    mirror, copy = tmp_path / "mirror", tmp_path / "copy"
    mark.mark_if_empty(mirror)
    add_object(mirror, b"x" * 1000)
    shutil.copytree(mirror, copy)
    with pytest.raises(UnmarkedMirror):
        prune.prune(copy, 1)
    mirror.rename(tmp_path / "moved")
    assert prune.prune(tmp_path / "moved", 1).objects == 1


def test_a_mark_that_is_no_mark_is_none(remote: Path) -> None:
    for text in ("", "{", "[]", '{"inode": "1"}', '{"inode": 1}'):
        (remote / mark.MARK).write_text(text)
        assert not mark.is_marked(remote)


@pytest.mark.parametrize("place", [".", "files/..", "below", "..", "link"])
def test_a_remote_of_the_project_is_never_evicted_from_whatever_is_said_of_it(tmp_path: Path, place: str) -> None:
    mirror = tmp_path / "over" / "mirror"
    (mirror / "below").mkdir(parents=True)
    (mirror / "link").symlink_to(mirror)
    remotes = [tmp_path / "elsewhere", mirror / place]
    with pytest.raises(UnmarkedMirror, match="a DVC remote of this project is"):
        mark.adopt(mirror, remotes)
    mark._write(mirror)
    add_object(mirror, b"x")
    with pytest.raises(UnmarkedMirror, match="a DVC remote of this project is"):
        prune.prune(mirror, 1, remotes=remotes)
    assert objects(mirror) == 1


def test_somebody_who_vouches_for_it_makes_it_a_mirror(remote: Path) -> None:
    add_object(remote, b"not used by any build")
    mark.adopt(remote, [])
    assert prune.prune(remote, 1).objects == 1


def test_a_build_goes_on_where_no_mark_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    mark.mark_if_empty(tmp_path / "file" / "mirror")
    assert not mark.is_marked(tmp_path / "file" / "mirror")
    assert LocalStore("mirror", tmp_path / "file").stat(ObjectId("0" * 32)) is None
