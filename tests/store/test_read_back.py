"""A remote that keeps other bytes of the same length than it was sent."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from mlbutler.errors import CorruptObject, StoreError
from mlbutler.store import read_back
from mlbutler.store.http.store import HttpStore
from mlbutler.store.interface import ObjectId
from mlbutler.store.local import LocalStore
from mlbutler.store.send import send_to_store
from tests.store.world import Remote, add_directory, add_object, manifest

Connect = Callable[..., HttpStore]


def test_what_was_sent_is_read_back(remote: Remote, connect: Connect, cache: LocalStore) -> None:
    oids = [add_object(cache.root, bytes([n]) * (n + 1)) for n in range(10)]
    sent = send_to_store(oids, cache, connect(remote))
    assert not sent.errors
    assert sent.read_back == 4
    assert ("GET", oids[0].key) in remote.requests  # the smallest
    assert not send_to_store(oids, cache, connect(remote)).read_back  # nothing was sent


def test_other_bytes_of_the_same_length_are_found_and_no_manifest_promises_them(
    remote: Remote, connect: Connect, cache: LocalStore
) -> None:
    files = {"a": b"first file", "b": b"another"}
    directory = add_directory(cache.root, files)
    small = add_object(cache.root, b"another")
    first = add_object(cache.root, b"first file")
    remote.faults[small.key], remote.methods = ["ok", "wrong"], ("GET",)
    sent = send_to_store([small, first, directory], cache, connect(remote))
    (error,) = sent.errors
    assert isinstance(error, CorruptObject)
    assert error.exit_code == 3
    assert small.key in error.message
    assert "delete the object there" in error.remedy
    assert not (remote.root / directory.key).exists()


def test_a_manifest_is_read_back_too(remote: Remote, connect: Connect, cache: LocalStore) -> None:
    directory = add_directory(cache.root, {"a": b"a"})
    assert (cache.root / directory.key).read_bytes() == manifest({"a": b"a"})
    remote.faults[directory.key], remote.methods = ["ok", "wrong"], ("GET",)
    sent = send_to_store([add_object(cache.root, b"a"), directory], cache, connect(remote))
    assert [type(error) for error in sent.errors] == [CorruptObject]


def test_what_cannot_be_read_back_is_said(remote: Remote, connect: Connect, cache: LocalStore) -> None:
    oid = add_object(cache.root, b"content")
    remote.faults[oid.key], remote.methods = ["ok", 500], ("GET",)
    (error,) = send_to_store([oid], cache, connect(remote)).errors
    assert isinstance(error, StoreError)


def test_a_sample_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = {ObjectId(f"{n:032x}"): n for n in range(1, 1000)}
    monkeypatch.setattr(read_back, "MOST", 1200)
    for _ in range(20):
        chosen = read_back.sample(objects)
        assert ObjectId(f"{1:032x}") in chosen
        assert sum(objects[oid] for oid in chosen) <= 1200
        assert 1 <= len(chosen) == len(set(chosen)) <= 4
    assert read_back.sample({ObjectId("0" * 32): 5000}) == []
    assert read_back.sample({}) == []


def test_a_server_is_told_the_hash_of_what_it_is_sent(
    remote: Remote, connect: Connect, cache: LocalStore, tmp_path: Path
) -> None:
    oid = add_object(cache.root, b"content")
    connect(remote).put(oid, cache.path(oid), lambda _: None)
    headers = next(found for found in remote.received if "Content-MD5" in found)
    assert base64.b64decode(headers["Content-MD5"]).hex() == oid.md5
