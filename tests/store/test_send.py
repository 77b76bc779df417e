from __future__ import annotations

from collections.abc import Callable

import pytest

from mlbutler.errors import AccessDenied, CorruptObject, StoreError
from mlbutler.store.http.store import HttpStore
from mlbutler.store.interface import ObjectId
from mlbutler.store.local import LocalStore
from mlbutler.store.send import send_to_store
from tests.store.world import Remote, add_directory, add_object, damage, md5, unsound

Connect = Callable[..., HttpStore]
FILES = {f"f {n}.txt": f"content {n}".encode() for n in range(15)}


def test_send_heals_an_incomplete_remote(remote: Remote, connect: Connect, cache: LocalStore) -> None:
    directory = add_directory(cache.root, FILES)
    add_directory(remote.root, FILES)
    gone, cut = ObjectId(md5(FILES["f 1.txt"])), ObjectId(md5(FILES["f 2.txt"]))
    (remote.root / gone.key).unlink()
    damage(remote.root, cut, b"cut")
    everything = [directory, *(ObjectId(md5(content)) for content in FILES.values()), ObjectId("1" * 32)]
    sent = send_to_store(everything, cache, connect(remote))
    assert [(moved.place, moved.objects) for moved in sent.moved] == [("origin", 2)]
    assert not unsound(remote.root)
    assert send_to_store(everything, cache, connect(remote)).moved == ()


def test_send_puts_files_before_their_manifest(remote: Remote, connect: Connect, cache: LocalStore) -> None:
    directory = add_directory(cache.root, FILES)
    send_to_store([directory, *(ObjectId(md5(content)) for content in FILES.values())], cache, connect(remote))
    posted = [path for method, path in remote.requests if method == "POST"]
    assert len(posted) == 16
    assert posted[-1] == directory.key


def test_a_damaged_object_is_not_sent(remote: Remote, connect: Connect, cache: LocalStore) -> None:
    oid = ObjectId(md5(b"content"))
    damage(cache.root, oid, b"CONTENT")
    sent = send_to_store([oid], cache, connect(remote))
    assert isinstance(sent.errors[0], CorruptObject)
    assert remote.counts()["POST"] == 0


def test_a_remote_that_takes_but_does_not_keep_is_an_error(remote: Remote, connect: Connect, cache: LocalStore) -> None:
    oid = add_object(cache.root, b"content")
    remote.faults[""], remote.methods = [201], ("POST",)
    sent = send_to_store([oid], cache, connect(remote))
    assert "holds nothing" in sent.errors[0].message


@pytest.mark.parametrize(("fault", "kind"), [(401, AccessDenied), (403, AccessDenied), (500, StoreError)])
def test_send_to_a_remote_that_does_not_answer_sends_nothing(
    remote: Remote, connect: Connect, cache: LocalStore, fault: int, kind: type
) -> None:
    oid = add_object(cache.root, b"content")
    remote.faults[""] = [fault]
    with pytest.raises(kind, match=str(fault)):
        send_to_store([oid], cache, connect(remote))
    assert remote.counts()["POST"] == 0
