"""Remotes that send without end, or next to nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from mlbutler.errors import EXIT_OUTSIDE, CorruptObject
from mlbutler.store import limits
from mlbutler.store.engine import bring
from mlbutler.store.http import curl
from mlbutler.store.http.store import HttpStore
from mlbutler.store.interface import Need, ObjectId
from mlbutler.store.local import LocalStore
from mlbutler.store.other import OtherStore
from mlbutler.store.retry import RetryPolicy, Transient
from tests.store.world import Remote, add_directory, add_object, leftovers

Connect = Callable[..., HttpStore]
_MOST = 16 << 20
"""Bytes that a server gets rid of before it learns that nobody listens."""


def nothing(_: int) -> None:
    pass


@pytest.mark.parametrize("fault", ["flood", "large"])
def test_a_remote_that_sends_far_more_than_is_recorded_is_cut_off(
    remote: Remote, connect: Connect, cache: LocalStore, fault: str
) -> None:
    oid = add_object(remote.root, b"x" * 496)
    remote.faults[oid.key], remote.methods = [fault], ("GET",)
    found = bring([Need("model", oid, size=496)], cache, None, connect(remote))
    (error,) = found.errors
    assert isinstance(error, CorruptObject)
    assert error.exit_code == EXIT_OUTSIDE
    assert oid.key in error.message
    assert error.remedy
    assert remote.counts()["GET"] == 1  # it is not tried again
    assert remote.sent < _MOST
    assert not leftovers(cache.root)


def test_no_file_of_a_directory_is_larger_than_the_directory(
    remote: Remote, connect: Connect, cache: LocalStore
) -> None:
    directory = add_directory(remote.root, {"a": b"1" * 300, "b": b"2" * 196})
    file = add_object(remote.root, b"2" * 196)
    remote.faults[file.key], remote.methods = ["flood"], ("GET",)
    found = bring([Need("data", directory, size=496)], cache, None, connect(remote))
    assert [type(error) for error in found.errors] == [CorruptObject]
    assert remote.sent < _MOST


def test_a_manifest_is_bounded_by_the_number_of_files(remote: Remote, connect: Connect, cache: LocalStore) -> None:
    directory = add_directory(remote.root, {"a": b"1"})
    remote.faults[directory.key], remote.methods = ["flood"], ("GET",)
    found = bring([Need("data", directory, size=1, files=1)], cache, None, connect(remote))
    assert [type(error) for error in found.errors] == [CorruptObject]
    assert remote.sent < _MOST


def test_what_is_recorded_a_little_wrong_is_brought(remote: Remote, connect: Connect, cache: LocalStore) -> None:
    """Its hash says that it is the right one."""
    oid = add_object(remote.root, b"x" * 500)
    assert not bring([Need("model", oid, size=496)], cache, None, connect(remote)).errors


def test_a_remote_that_sends_a_few_bytes_a_second_is_given_up(
    remote: Remote, connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(limits, "WINDOW", 1)
    look = curl._Loop._look
    monkeypatch.setattr(curl._Loop, "_look", lambda loop, _: look(loop, 0.0))  # it is not silent, however busy all is
    oid = add_object(remote.root, b"x" * 496)
    remote.faults[oid.key], remote.methods = ["trickle"], ("GET",)
    store = HttpStore("origin", remote.url, {"read_timeout": 1}, environ={}, policy=RetryPolicy(attempts=1))
    with pytest.raises(Transient, match="less than 1,000 bytes a second") as error:
        store.get(oid, tmp_path / "x", nothing)
    assert "data.jobs" in error.value.remedy


class _Endless(MemoryFileSystem):  # type: ignore[misc]
    """Sends as much as is taken."""

    protocol = "endless"

    def get_file(self, path: str, local: str, callback: Any = None, **options: Any) -> None:
        for _block in range(1000):
            callback.relative_update(1 << 16)


class _Remote:
    """What DVC wraps around a file system."""

    protocol = "endless"

    def __init__(self) -> None:
        self.fs = _Endless()

    def join(self, *parts: str) -> str:
        return "/".join(parts)

    def get_file(self, *args: Any, **options: Any) -> None:
        self.fs.get_file(*args, **options)


def test_other_remotes_are_cut_off_too(tmp_path: Path) -> None:
    came: list[int] = []
    store = OtherStore("origin", lambda: (_Remote(), "/data"), RetryPolicy(attempts=3, pause=0))
    with pytest.raises(CorruptObject, match="sends more than"):
        store.get(ObjectId("0" * 32), tmp_path / "x", came.append, limits.most_of(ObjectId("0" * 32), 496))
    assert sum(came) <= (1 << 20) + 496


def test_bytes_that_come_too_slowly_end_a_transfer_and_a_slow_start_alone_does_not() -> None:
    seconds = itertools.chain([0, 1, 59, 61, 100, 122, 150, 182.5])
    counted: list[int] = []
    incoming = limits.Incoming("origin", ObjectId("0" * 32), counted.append, None, lambda: next(seconds))
    for size in (10, 10, 100_000, 10, 100_000, 10):
        incoming(size)
    with pytest.raises(Transient, match="less than 1,000 bytes a second"):
        incoming(10)
    assert len(counted) == 6
