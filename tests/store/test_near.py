"""A store near the agents, which is asked before the project's remote and filled from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlbutler.store.engine import BringOptions, bring
from mlbutler.store.http.store import HttpStore
from mlbutler.store.interface import Need, Presence, Store
from mlbutler.store.local import LocalStore
from mlbutler.store.other import OtherStore
from tests.store.buckets import s3
from tests.store.world import Remote, add_directory, add_object, unsound

Connect = Callable[..., HttpStore]
FILES = {f"f {n}.txt": f"content {n}".encode() for n in range(15)}


@pytest.fixture
def near(s3_server: str, bucket: str) -> OtherStore:
    return s3(s3_server, f"{bucket}/mirror", "bucket")


@pytest.fixture
def agent(tmp_path: Path) -> Callable[[], LocalStore]:
    """Each call is a machine with an empty cache and no mirror."""
    made: list[LocalStore] = []

    def new() -> LocalStore:
        made.append(LocalStore("cache", tmp_path / f"agent{len(made)}"))
        return made[-1]

    return new


def places(brought: object) -> dict[str, int]:
    return {moved.place: moved.objects for moved in brought.moved}  # type: ignore[attr-defined]


def test_the_first_agent_fills_it_and_the_next_asks_the_remote_for_nothing(
    remote: Remote, connect: Connect, near: OtherStore, agent: Callable[[], LocalStore]
) -> None:
    need = Need("data", add_directory(remote.root, FILES))
    first = bring([need], agent(), None, connect(remote), BringOptions(near=near, fill=True))
    assert places(first) == {"origin": 16}  # what went to the bucket is not counted as brought
    remote.requests.clear()
    second = bring([need], agent(), None, connect(remote), BringOptions(near=near, fill=True))
    assert places(second) == {"bucket": 16}
    assert not remote.requests


def test_a_fork_reads_it_and_leaves_nothing_there(
    remote: Remote, connect: Connect, near: OtherStore, agent: Callable[[], LocalStore]
) -> None:
    there, new = (Need(name, add_object(remote.root, name.encode())) for name in ("there", "new"))
    bring([there], agent(), None, connect(remote), BringOptions(near=near, fill=True))
    options = BringOptions(near=near, trusted=False)
    assert places(bring([there, new], agent(), None, connect(remote), options)) == {"bucket": 1, "origin": 1}
    assert near.ask([new.oid])[new.oid].presence is Presence.MISSING


def test_what_is_damaged_there_comes_from_the_remote_and_is_replaced(
    remote: Remote, connect: Connect, near: OtherStore, agent: Callable[[], LocalStore], tmp_path: Path
) -> None:
    need = Need("model", add_object(remote.root, b"content"))
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"CONTENT")
    near.put(need.oid, wrong, lambda _: None)
    cache = agent()
    brought = bring([need], cache, None, connect(remote), BringOptions(near=near, fill=True))
    assert places(brought) == {"origin": 1}
    assert not brought.errors
    assert not unsound(cache.root)
    again = bring([need], agent(), None, connect(remote), BringOptions(near=near))
    assert places(again) == {"bucket": 1}


@pytest.mark.parametrize("fault", [401, 403, 500])
def test_one_that_fails_is_done_without_and_said_once(
    make_remote: Callable[..., Remote], connect: Connect, agent: Callable[[], LocalStore], fault: int
) -> None:
    far, bucket = make_remote(), make_remote()
    need = Need("data", add_directory(far.root, FILES))
    bucket.faults[""] = [fault] * 1000
    said: list[str] = []
    options = BringOptions(near=connect(bucket, attempts=1), fill=True, warn=said.append)
    brought = bring([need], agent(), None, connect(far), options)
    assert places(brought) == {"origin": 16}
    assert not brought.errors
    assert len(said) == 1
    assert str(fault) in said[0]


def test_what_has_a_remote_of_its_own_stays_out_of_it(
    remote: Remote, connect: Connect, near: OtherStore, agent: Callable[[], LocalStore]
) -> None:
    need = Need("private", add_object(remote.root, b"private"), remote="own")
    stores: dict[str | None, Store] = {"own": connect(remote)}
    brought = bring([need], agent(), None, stores.__getitem__, BringOptions(near=near, fill=True))
    assert places(brought) == {"origin": 1}
    assert near.ask([need.oid])[need.oid].presence is Presence.MISSING


def test_what_neither_has_is_missing(
    remote: Remote, connect: Connect, near: OtherStore, agent: Callable[[], LocalStore]
) -> None:
    need = Need("lost", add_object(remote.root, b"lost"))
    remote.root.joinpath(need.oid.key).unlink()
    brought = bring([need], agent(), None, connect(remote), BringOptions(near=near, fill=True))
    assert [missing.path for missing in brought.missing] == ["lost"]
    assert not brought.errors
