"""Buckets (moto): what is read through libcurl, what is listed, and what is left to DVC's client."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import quote

import pytest

from mlbutler.errors import AccessDenied
from mlbutler.store.engine import bring
from mlbutler.store.interface import Need, ObjectId, ObjectStatus, Presence
from mlbutler.store.local import LocalStore
from mlbutler.store.s3 import listing
from mlbutler.store.s3.signing import Signer
from mlbutler.store.s3.store import S3Store
from mlbutler.store.send import send_to_store
from tests.http_client import plain
from tests.store.buckets import bucket
from tests.store.s3.gate import Gate, Seen, error
from tests.store.world import add_directory, add_object, md5, unsound

FILES = {f"f {n}": b"content %d" % n for n in range(5)}
ABSENT = ObjectId("0" * 32)
ODD = "pré fix+%20(1)~/x"


def fill(gate: Gate, prefix: str, objects: Iterable[ObjectId], cache: LocalStore) -> None:
    """Put objects into the bucket without any client of ours or DVC's."""
    for oid in objects:
        url = f"{gate.url}/{gate.bucket}{quote(prefix)}/{oid.key}"
        plain().put(url, content=cache.path(oid).read_bytes()).raise_for_status()
    gate.requests.clear()


def ask(store: S3Store, objects: Iterable[ObjectId]) -> dict[ObjectId, ObjectStatus]:
    return dict(store.ask_many(objects, threading.Event()))


@pytest.fixture
def directory(gate: Gate, cache: LocalStore) -> ObjectId:
    """A directory in the bucket."""
    oid = add_directory(cache.root, FILES)
    fill(gate, "/p", [oid, *(ObjectId(md5(content)) for content in FILES.values())], cache)
    return oid


def bring_it(store: S3Store, directory: ObjectId, place: Path) -> LocalStore:
    elsewhere = LocalStore("cache", place)
    brought = bring([Need("data", directory)], elsewhere, None, store)
    assert not brought.incomplete, brought.errors
    assert not unsound(elsewhere.root)
    assert len([path for path in (elsewhere.root / "files").rglob("*") if path.is_file()]) == 1 + len(FILES)
    return elsewhere


@pytest.mark.parametrize("prefix", ["", "/", f"/{ODD}/"])
def test_there_and_back(gate: Gate, cache: LocalStore, tmp_path: Path, prefix: str) -> None:
    directory = add_directory(cache.root, FILES)
    legacy = ObjectId(md5(b"by DVC 2"), legacy=True)
    (cache.root / legacy.key).parent.mkdir()
    (cache.root / legacy.key).write_bytes(b"by DVC 2")
    everything = [directory, legacy, *(ObjectId(md5(content)) for content in FILES.values())]
    send_to_store(everything, cache, bucket(gate.url, f"{gate.bucket}{prefix}", dvc=True))
    gate.requests.clear()
    store = bucket(gate.url, f"{gate.bucket}{prefix}")
    elsewhere = bring_it(store, directory, tmp_path / "other")
    answers = ask(store, [*everything, ABSENT])
    assert answers.pop(ABSENT) == ObjectStatus(Presence.MISSING)
    assert {oid: answer.size for oid, answer in answers.items()} == {
        oid: cache.path(oid).stat().st_size for oid in everything
    }
    assert not bring([Need("old", legacy)], elsewhere, None, store).incomplete
    missing = bring([Need("lost", ABSENT)], elsewhere, None, store)
    assert [lost.path for lost in missing.missing] == ["lost"]
    assert not gate.wrong
    assert all(seen.quick for seen in gate.requests)


def test_many_objects_are_listed_and_those_that_no_list_has_are_asked_for(
    gate: Gate, cache: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = [add_object(cache.root, b"%d" % number) for number in range(40)]
    absent = [ObjectId(f"{oid.md5[:2]}{'0' * 30}") for oid in there[:3]]
    fill(gate, f"/{ODD}", there, cache)
    plain = listing.query
    small = "&max-keys=2&prefix"  # pages of two objects
    monkeypatch.setattr(listing, "query", lambda prefix, token="": plain(prefix, token).replace("&prefix", small))
    monkeypatch.setattr(listing, "_COSTS", 1)
    answers = ask(bucket(gate.url, f"{gate.bucket}/{ODD}"), [*there, *absent])
    assert {oid: answers[oid].size for oid in there} == {oid: cache.path(oid).stat().st_size for oid in there}
    assert {answers[oid].presence for oid in absent} == {Presence.MISSING}
    asked = [seen for seen in gate.requests if not seen.lists]
    assert [seen.method for seen in asked] == ["HEAD"] * 3  # a list alone calls nothing missing
    assert any("continuation-token" in seen.query for seen in gate.requests)
    assert not gate.wrong


@pytest.mark.parametrize("answer", [
    error(403, "AccessDenied"),
    (200, {}, "<html>a portal</html>"),
    (200, {}, '<!DOCTYPE x [<!ENTITY a "aaaa">]><ListBucketResult>&a;</ListBucketResult>'),
    (200, {}, "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"),
    (200, {}, "<ListBucketResult><Contents><Key>files/md5/00/1</Key></Contents><IsTruncated>true</IsTruncated>"
              "<NextContinuationToken>again</NextContinuationToken></ListBucketResult>"),
    (503, {}, ""),
], ids=["refused", "page", "entity", "no token", "without end", "down"])  # fmt: skip
def test_a_bucket_that_cannot_be_listed_is_asked_for_each_object(
    gate: Gate, directory: ObjectId, monkeypatch: pytest.MonkeyPatch, answer: tuple[int, dict[str, str], str]
) -> None:
    monkeypatch.setattr(listing, "_COSTS", 1)
    gate.fault = lambda seen: answer if seen.lists else None
    absent = [ObjectId(f"{number:032x}") for number in range(16)]
    answers = ask(bucket(gate.url, f"{gate.bucket}/p", attempts=2), [directory, *absent])
    assert answers.pop(directory).presence is Presence.PRESENT
    assert set(answers.values()) == {ObjectStatus(Presence.MISSING)}
    assert [seen for seen in gate.requests if seen.lists]


def test_few_objects_are_not_worth_a_list() -> None:
    assert listing.most_pages(100) == 0
    assert listing.most_pages(5_000) == 2
    assert len(listing.list_prefixes(5_000, 20)) == 16
    assert listing.list_prefixes(5_000, 4_000) == []  # a million objects


# --------------------------------------------------------------------------------------- faults


def first(count: int, answer: tuple[int, dict[str, str], str], of: Callable[[Seen], bool]) -> Callable[[Seen], object]:
    """Answer the first requests of a kind so."""
    left = [answer] * count
    return lambda seen: left.pop() if left and of(seen) else None


def test_what_passes_is_tried_again(gate: Gate, directory: ObjectId, tmp_path: Path) -> None:
    gate.fault = first(2, error(503, "SlowDown"), lambda seen: seen.quick)  # type: ignore[assignment]
    store = bucket(gate.url, f"{gate.bucket}/p")
    bring_it(store, directory, tmp_path / "other")
    gate.fault = first(1, error(500, "InternalError"), lambda seen: seen.quick)  # type: ignore[assignment]
    assert ask(store, [directory])[directory].presence is Presence.PRESENT


def test_a_bucket_that_stays_down_is_said(gate: Gate, directory: ObjectId, tmp_path: Path) -> None:
    gate.fault = lambda _: error(503, "SlowDown")
    brought = bring(
        [Need("data", directory)], LocalStore("cache", tmp_path / "other"), None, bucket(gate.url, f"{gate.bucket}/p")
    )
    assert "503" in brought.errors[0].message
    assert not {"secret", "Signature", "X-Amz"} & set(re.findall(r"[\w-]+", str(brought.errors)))


def test_credentials_that_expire_midway_are_left_to_dvcs_client(
    gate: Gate, directory: ObjectId, tmp_path: Path
) -> None:
    so_far = iter(range(1000))
    expired = error(400, "ExpiredToken")
    gate.fault = lambda seen: expired if seen.quick and next(so_far) >= 3 else None
    store = bucket(gate.url, f"{gate.bucket}/p", dvc=True)
    bring_it(store, directory, tmp_path / "other")
    quick = len(gate.quick())
    assert len(gate.requests) > quick > 3
    assert ask(store, [directory])[directory].presence is Presence.PRESENT
    assert len(gate.quick()) == quick  # not tried again


def test_credentials_that_cannot_be_renewed_midway_are_left_to_dvcs_client(
    gate: Gate, directory: ObjectId, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    so_far = iter(range(1000))
    plain = Signer.headers

    def headers(signer: Signer, method: str, url: str) -> list[str]:
        if next(so_far) >= 3:
            raise RuntimeError("The refreshed credentials are still expired.")
        return plain(signer, method, url)

    monkeypatch.setattr(Signer, "headers", headers)
    bring_it(bucket(gate.url, f"{gate.bucket}/p", dvc=True), directory, tmp_path / "other")
    assert len(gate.requests) > len(gate.quick()) == 3


@pytest.mark.parametrize(("status", "code"), [(301, "PermanentRedirect"), (400, "AuthorizationHeaderMalformed")])
def test_a_bucket_in_another_region_is_asked_there(
    gate: Gate, directory: ObjectId, tmp_path: Path, status: int, code: str
) -> None:
    elsewhere = error(status, code, **{"x-amz-bucket-region": "eu-west-1"})
    gate.fault = lambda seen: None if "/eu-west-1/s3/" in seen.authorization else elsewhere
    bring_it(bucket(gate.url, f"{gate.bucket}/p"), directory, tmp_path / "other")
    assert not gate.wrong


@pytest.mark.parametrize("status", [301, 307])
def test_a_server_that_always_sends_elsewhere_is_not_followed_for_ever(
    gate: Gate, directory: ObjectId, status: int
) -> None:
    def fault(seen: Seen) -> tuple[int, dict[str, str], str] | None:
        region = "eu-west-1" if "/us-east-1/" in seen.authorization else "us-east-1"
        told = {"x-amz-bucket-region": region, "Location": f"{gate.url}/elsewhere"}
        return (status, told, "") if seen.quick else None

    gate.fault = fault
    answers = ask(bucket(gate.url, f"{gate.bucket}/p", dvc=True), [directory, ABSENT])
    assert (answers[directory].presence, answers[ABSENT].presence) == (Presence.PRESENT, Presence.MISSING)
    assert 0 < len(gate.quick()) <= 4
    assert not [seen for seen in gate.requests if "elsewhere" in seen.path]  # a signature is for one place


def test_a_refusal_is_none_missing(gate: Gate, directory: ObjectId, tmp_path: Path) -> None:
    gate.fault = lambda _: error(403, "AccessDenied")  # so S3 answers for what is absent to those who may not list
    store = bucket(gate.url, f"{gate.bucket}/p", dvc=True)
    answer = ask(store, [directory])[directory]
    assert (answer.presence, answer.denied) == (Presence.UNDETERMINED, True)
    brought = bring([Need("data", directory)], LocalStore("cache", tmp_path / "other"), None, store)
    assert isinstance(brought.errors[0], AccessDenied)
    assert "secret" not in str(brought.errors)


def test_an_absent_bucket_misses_nothing(gate: Gate, tmp_path: Path) -> None:
    store = bucket(gate.url, "no-such-bucket/p", dvc=True)
    answer = ask(store, [ABSENT])[ABSENT]
    assert answer.presence is Presence.UNDETERMINED
    assert "no-such-bucket" in answer.reason
    brought = bring(
        [Need("data", ABSENT)],
        LocalStore("cache", tmp_path / "other"),
        None,
        bucket(gate.url, "no-such-bucket/p", dvc=True),
    )
    assert "no-such-bucket" in brought.errors[0].message


def test_another_content_is_refused(gate: Gate, directory: ObjectId, tmp_path: Path) -> None:
    gate.fault = lambda seen: (200, {}, "something else") if seen.method == "GET" else None
    brought = bring(
        [Need("data", directory)], LocalStore("cache", tmp_path / "other"), None, bucket(gate.url, f"{gate.bucket}/p")
    )
    assert "wrong content" in brought.errors[0].message
    assert not unsound(tmp_path / "other")
