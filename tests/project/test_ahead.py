"""Looking ahead while a verb starts: what the other processes saw, and when it is not believed."""

from __future__ import annotations

import json
import os
import select
import signal
import threading
import time
from pathlib import Path

import pytest

from mlbutler import forked
from mlbutler.commands import start
from mlbutler.project import ahead
from mlbutler.project.ahead import Ahead, claimed, leave, look_ahead
from mlbutler.project.signature import Look
from mlbutler.store.brought_before import digest_at
from tests.store.world import add_object

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system forks no processes")


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked, "cores", lambda: 2)
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    monkeypatch.setattr(ahead, "_ahead", {})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project whose last plan rested on some paths and that brought an object."""
    root = (tmp_path / "project").resolve()
    for folder in (".dvc", ".git", ".mlbutler", "data/sub"):
        (root / folder).mkdir(parents=True)
    paths = {"data": "?", "caf\udce9.txt": "?", "line\nbreak": "?", "gone": "absent"}
    for name in ("data/sub/a", "caf\udce9.txt", "line\nbreak"):
        (root / name).write_text("content")
    (root / ".mlbutler" / "planned.json").write_text(json.dumps({"paths": paths}))
    oid = add_object(root / "cache", b"content")
    memory = json.dumps({"cache": str(root / "cache")})
    (root / ".mlbutler" / "brought.json").write_text(f"{memory}\n{oid.md5}")
    return root


def test_what_is_seen_ahead_is_what_is_there(root: Path) -> None:
    look_ahead(root, objects=True)
    found = claimed(root)
    assert found is not None
    signatures = found.signatures()
    assert signatures == {path: Look()(root, path) for path in ("data", "caf\udce9.txt", "line\nbreak")}
    assert found.objects() == digest_at(root / ".mlbutler" / "brought.json") is not None
    assert (found.signatures(), found.objects()) == ({}, None)  # once
    assert claimed(root) is None


def test_it_is_found_from_a_folder_inside_and_looks_at_objects_when_asked_to(root: Path) -> None:
    look_ahead(root / "data" / "sub", objects=False)
    found = claimed(root)
    assert found is not None
    assert found.objects() is None
    assert len(found.signatures()) == 3


def until_it_looked(seen: Ahead) -> None:
    """Wait until the second process has answered; it did so just now, however long that took here."""
    assert seen._files is not None
    select.select([seen._files._reader], [], [])
    seen.began = time.monotonic()


def test_a_look_ahead_is_taken_for_a_look(root: Path) -> None:
    seen = Ahead(root, objects=False)
    before = Look()(root, "data")
    until_it_looked(seen)
    (root / "data" / "more").touch()
    look = Look(seen)
    assert look(root, "data") == before
    assert look(root, "gone") is None
    look.again()
    assert look(root, "data") != before


@pytest.mark.parametrize("change", ["too long ago", "changed by this verb"])
def test_a_look_that_is_too_old_is_not_believed(root: Path, change: str) -> None:
    seen = Ahead(root, objects=False)
    until_it_looked(seen)
    (root / "data" / "more").touch()
    look = Look(seen)
    if change == "too long ago":
        seen.began -= 6
    else:
        look.again()
    assert look(root, "data") == Look()(root, "data")


def test_where_another_mlbutler_worked_meanwhile_nothing_is_believed(root: Path) -> None:
    with start._lock(root):  # there was one before
        pass
    look_ahead(root, objects=True)
    with start._lock(root):
        pass
    assert claimed(root) is None


def test_one_that_was_at_work_when_the_look_began_and_ended_since(root: Path) -> None:
    for _ in range(2):  # the first that ever worked here, and any other
        with start._lock(root):
            look_ahead(root, objects=True)
            time.sleep(0.02)
        assert claimed(root) is None


def test_one_that_failed_leaves_its_stamp_too(root: Path) -> None:
    with pytest.raises(KeyError), start._lock(root):
        look_ahead(root, objects=True)
        time.sleep(0.02)
        raise KeyError
    assert claimed(root) is None


def test_a_clone_without_a_lock_has_no_stamp_and_none_is_made(root: Path) -> None:
    leave(root)
    assert not (root / ".mlbutler" / "lock").exists()
    look_ahead(root, objects=True)
    assert claimed(root) is not None


@pytest.mark.parametrize("memory", ["", "{", "[]", '{"paths": 3}', '{"paths": ["data"', '{"paths": [3, null]}'])
def test_a_broken_memory_shows_nothing(root: Path, memory: str) -> None:
    (root / ".mlbutler" / "planned.json").write_text(memory)
    (root / ".mlbutler" / "brought.json").write_text(memory)
    found = Ahead(root, objects=True)
    assert (found.signatures(), found.objects()) == ({}, None)


def test_without_a_memory_nobody_looks(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / ".mlbutler" / "planned.json").unlink()
    (root / ".mlbutler" / "brought.json").unlink()
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("a process was started"))
    found = Ahead(root, objects=True)
    assert (found.signatures(), found.objects()) == ({}, None)


def test_an_absent_or_writable_object_is_not_in_place(root: Path) -> None:
    [file] = [path for path in (root / "cache").rglob("*") if path.is_file()]
    file.chmod(0o644)
    assert Ahead(root, objects=True).objects() is None
    file.unlink()
    assert Ahead(root, objects=True).objects() is None


def test_on_one_core_nothing_is_seen_ahead(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked, "cores", lambda: 1)
    found = Ahead(root, objects=True)
    assert (found.signatures(), found.objects()) == ({}, None)
    assert Look(found)(root, "data") == Look()(root, "data")


def test_where_there_is_no_project_nothing_happens(tmp_path: Path) -> None:
    look_ahead(tmp_path / "nowhere", objects=True)
    assert claimed(tmp_path / "nowhere") is None


def test_a_second_process_that_is_killed_shows_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "_signatures", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    found = Ahead(root, objects=False)
    assert found.signatures() == {}
