"""S3 (moto) and SSH (asyncssh) remotes, through DVC's own file systems."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlbutler.errors import AccessDenied, StoreError
from mlbutler.store import other
from mlbutler.store.engine import bring
from mlbutler.store.interface import Need, ObjectId, ObjectStatus, Presence
from mlbutler.store.local import LocalStore
from mlbutler.store.other import OtherStore
from mlbutler.store.runs import copy_entry, keys
from mlbutler.store.send import send_to_store
from tests.ports import free_port
from tests.store.buckets import s3, store
from tests.store.world import add_directory, add_object, md5, unsound

FILES = {f"f {n}": b"content %d" % n for n in range(5)}
ABSENT = ObjectId("0" * 32)


def nothing(_: int) -> None:
    pass


# ------------------------------------------------------------------------------------------------ S3


def test_s3_there_and_back(s3_server: str, bucket: str, cache: LocalStore, tmp_path: Path) -> None:
    remote = s3(s3_server, f"{bucket}/some/prefix")
    directory = add_directory(cache.root, FILES)
    everything = [directory, *(ObjectId(md5(content)) for content in FILES.values())]
    assert [moved.objects for moved in send_to_store(everything, cache, remote).moved] == [6]
    answers = remote.ask([directory, ABSENT])
    assert answers[directory].presence is Presence.PRESENT
    assert answers[directory].size == cache.path(directory).stat().st_size
    assert answers[ABSENT].presence is Presence.MISSING
    elsewhere = LocalStore("cache", tmp_path / "other")
    brought = bring([Need("data", directory), Need("lost", ABSENT)], elsewhere, None, remote)
    assert brought.incomplete == {"lost"}
    assert not unsound(elsewhere.root)
    assert len(list(elsewhere.root.rglob("*"))) > 6


def test_s3_run_cache_entries(s3_server: str, bucket: str, cache: LocalStore) -> None:
    remote = s3(s3_server, bucket)
    assert keys(remote) == frozenset()
    key = f"runs/{'a' * 2}/{'a' * 64}/{'b' * 64}"
    (cache.root / key).parent.mkdir(parents=True)
    (cache.root / key).write_text("cmd: x\n")
    copy_entry(cache, remote, key)
    assert keys(remote) == {key}


def fill(remote: OtherStore, cache: LocalStore, objects: int) -> list[ObjectId]:
    """Put so many objects into a remote; return them."""
    there = [add_object(cache.root, b"%d" % number) for number in range(objects)]
    send_to_store(there, cache, remote)
    return there


def test_a_folder_of_which_much_is_wanted_is_listed_and_what_is_not_in_it_is_asked_for(
    s3_server: str, bucket: str, cache: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = s3(s3_server, f"{bucket}/listed")
    there = fill(remote, cache, 40)
    monkeypatch.setattr(other, "_WORTH_LISTING", 2)
    asked: list[ObjectId] = []
    one = remote._ask

    def ask(oid: ObjectId) -> ObjectStatus:
        asked.append(oid)
        return one(oid)

    monkeypatch.setattr(remote, "_ask", ask)
    folders = Counter(oid.folder for oid in there)
    known = {folder for folder, number in folders.items() if number > 1}
    absent = [ObjectId(f"{folder[-2:]}{'0' * 30}") for folder in known]
    answers = dict(remote.ask_many(iter([*there, *absent]), threading.Event()))
    assert {oid for oid, answer in answers.items() if answer.presence is Presence.PRESENT} == set(there)
    assert {oid for oid, answer in answers.items() if answer.presence is Presence.MISSING} == set(absent)
    assert {oid: answers[oid].size for oid in there} == {oid: len(cache.path(oid).read_bytes()) for oid in there}
    assert {oid for oid in asked if oid in there} == {oid for oid in there if oid.folder not in known}
    assert set(absent) <= set(asked)  # a listing alone calls nothing missing
    late = absent[0]
    assert remote.ask([late])[late].presence is Presence.MISSING
    (cache.path(late).parent).mkdir(parents=True, exist_ok=True)
    cache.path(late).write_bytes(b"late")
    remote.put(late, cache.path(late), nothing)
    assert dict(remote.ask_many([late], threading.Event()))[late].presence is Presence.PRESENT


def test_a_bucket_that_may_not_be_listed_is_asked_for_each_object(
    s3_server: str, bucket: str, cache: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = s3(s3_server, f"{bucket}/unlisted")
    there = fill(remote, cache, 3)
    monkeypatch.setattr(other, "_WORTH_LISTING", 1)

    def refuse(*_: object) -> Any:
        raise AccessDenied("Not allowed to list.", "")

    monkeypatch.setattr(remote, "_entries", refuse)
    answers = dict(remote.ask_many([*there, ABSENT], threading.Event()))
    assert {oid for oid, answer in answers.items() if answer.presence is Presence.PRESENT} == set(there)
    assert answers[ABSENT].presence is Presence.MISSING


def test_a_bucket_that_does_not_exist_misses_nothing(s3_server: str) -> None:
    answer = s3(s3_server, "no-such-bucket/prefix").ask([ABSENT])[ABSENT]
    assert answer.presence is Presence.UNDETERMINED
    assert "no-such-bucket" in answer.reason


def test_s3_that_is_down_is_undetermined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    answer = s3(f"http://127.0.0.1:{free_port()}", "bucket").ask([ABSENT])[ABSENT]
    assert answer.presence is Presence.UNDETERMINED
    assert not answer.denied


# ----------------------------------------------------------------------------------------------- SSH


@pytest.fixture(scope="module")
def ssh_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    import asyncssh

    class Server(asyncssh.SSHServer):
        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == ("ada", "right-password")

    loop = asyncio.new_event_loop()
    ready: list[Any] = []
    event = threading.Event()

    def serve() -> None:
        asyncio.set_event_loop(loop)
        key = asyncssh.generate_private_key("ssh-ed25519")
        listening = asyncssh.listen(
            "127.0.0.1", 0, server_factory=Server, server_host_keys=[key], sftp_factory=True, gss_host=None
        )
        ready.append(loop.run_until_complete(listening))
        event.set()
        loop.run_forever()

    threading.Thread(target=serve, daemon=True).start()
    assert event.wait(600)
    yield ready[0].get_port()
    loop.call_soon_threadsafe(loop.stop)


def ssh(port: int, root: Path, password: str) -> OtherStore:
    config = {"host": "127.0.0.1", "port": port, "user": "ada", "password": password, "timeout": 600}
    return store("ssh", config, str(root))


def test_ssh_there_and_back(ssh_port: int, cache: LocalStore, tmp_path: Path) -> None:
    remote = ssh(ssh_port, tmp_path / "remote", "right-password")
    directory = add_directory(cache.root, FILES)
    everything = [directory, *(ObjectId(md5(content)) for content in FILES.values())]
    assert [moved.objects for moved in send_to_store(everything, cache, remote).moved] == [6]
    assert not unsound(tmp_path / "remote")
    assert remote.ask([ABSENT])[ABSENT].presence is Presence.MISSING
    elsewhere = LocalStore("cache", tmp_path / "other")
    assert not bring([Need("data", directory)], elsewhere, None, remote).incomplete
    assert not unsound(elsewhere.root)


def test_ssh_with_a_wrong_password_is_a_refusal(ssh_port: int, tmp_path: Path) -> None:
    remote = ssh(ssh_port, tmp_path / "remote", "wrong-password")
    answer = remote.ask([ABSENT])[ABSENT]
    assert (answer.presence, answer.denied) == (Presence.UNDETERMINED, True), answer.reason
    assert "wrong-password" not in answer.reason
    with pytest.raises(AccessDenied):
        remote.get(ABSENT, tmp_path / "got", nothing)


def test_a_missing_key_file_is_no_missing_object(ssh_port: int, tmp_path: Path) -> None:
    config = {"host": "127.0.0.1", "port": ssh_port, "user": "ada", "keyfile": str(tmp_path / "no-key"), "timeout": 600}
    remote = store("ssh", config, "/")
    oid = add_object(tmp_path, b"content")
    assert remote.ask([oid])[oid].presence is Presence.UNDETERMINED
    with pytest.raises(StoreError):
        remote.get(oid, tmp_path / "got", nothing)
