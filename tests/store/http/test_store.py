from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from yarl import URL

from mlbutler.errors import AccessDenied, CorruptObject, StoreError
from mlbutler.store.http.store import HttpStore
from mlbutler.store.interface import ObjectId, Presence
from mlbutler.store.retry import RetryPolicy
from tests.store.world import PASSWORD, USER, Remote, add_object

Connect = Callable[..., HttpStore]
ABSENT = ObjectId("0" * 32)


def nothing(_: int) -> None:
    pass


def test_present_with_size_and_missing(remote: Remote, connect: Connect) -> None:
    oid = add_object(remote.root, b"content")
    answers = connect(remote).ask([oid, ABSENT])
    assert (answers[oid].presence, answers[oid].size) == (Presence.PRESENT, 7)
    assert answers[ABSENT].presence is Presence.MISSING


@pytest.mark.parametrize("status", [400, 403, 404, 405, 501])
def test_a_server_that_does_not_answer_head_is_asked_with_get(remote: Remote, connect: Connect, status: int) -> None:
    oid = add_object(remote.root, b"content")
    remote.faults[""], remote.methods = [status], ("HEAD",)
    assert connect(remote).ask([oid])[oid].presence is Presence.PRESENT


@pytest.mark.parametrize("lie", ["yes", "nothing", "no length", 204])
def test_a_server_whose_head_says_yes_to_everything_is_asked_with_get(
    remote: Remote, connect: Connect, lie: object
) -> None:
    oid = add_object(remote.root, b"content")
    remote.faults[""], remote.methods = [lie], ("HEAD",)
    answers = connect(remote).ask([oid, ABSENT])
    assert (answers[oid].presence, answers[oid].size) == (Presence.PRESENT, 7)
    assert answers[ABSENT].presence is Presence.MISSING


def test_a_server_that_has_everything_has_proved_nothing(remote: Remote, connect: Connect) -> None:
    oid = add_object(remote.root, b"content")
    remote.faults[""] = ["yes"]
    answer = connect(remote).ask([oid])[oid]
    assert answer.presence is Presence.UNDETERMINED
    assert "nobody made" in answer.reason
    assert answer.remedy


@pytest.mark.parametrize("lie", ["nothing", "no length"])
def test_a_head_without_a_size_is_not_enough(remote: Remote, connect: Connect, lie: str) -> None:
    oid = add_object(remote.root, b"content")
    remote.faults[oid.key], remote.methods = [lie], ("HEAD",)
    answer = connect(remote).ask([oid])[oid]
    assert (answer.presence, answer.size) == (Presence.PRESENT, 7)


@pytest.mark.parametrize(("fault", "denied"), [(401, True), (403, True), (500, False), (503, False), ("reset", False)])
def test_a_refusal_or_a_failure_is_never_missing(remote: Remote, connect: Connect, fault: object, denied: bool) -> None:
    remote.faults[""] = [fault]
    answer = connect(remote).ask([ABSENT])[ABSENT]
    assert answer.presence is Presence.UNDETERMINED
    assert answer.denied is denied
    assert isinstance(fault, str) or str(fault) in answer.reason


def test_a_server_that_is_down_is_undetermined_and_soon_given_up(remote: Remote) -> None:
    remote.close()
    policy = RetryPolicy(attempts=3, pause=0.05, give_up_after=2)
    store = HttpStore("origin", remote.url, {"jobs": 8}, environ={}, policy=policy)
    answers = store.ask([ObjectId(f"{n:032x}") for n in range(200)])
    assert {answer.presence for answer in answers.values()} == {Presence.UNDETERMINED}
    insisted = [answer for answer in answers.values() if not answer.reason.startswith("Given up: ")]
    assert 2 <= len(insisted) < 20  # those that were under way when the second had failed


def test_passing_failures_are_retried(remote: Remote, connect: Connect, tmp_path: Path) -> None:
    oid = add_object(remote.root, b"content")
    remote.faults[oid.key] = [500, "reset", "ok"]
    connect(remote).get(oid, tmp_path / "got", nothing)
    assert (tmp_path / "got").read_bytes() == b"content"


def test_retry_after_is_honoured(remote: Remote, connect: Connect, tmp_path: Path) -> None:
    oid = add_object(remote.root, b"content")
    remote.faults[oid.key] = [429, "ok"]
    remote.headers["Retry-After"] = "1"
    started = time.monotonic()
    connect(remote).get(oid, tmp_path / "got", nothing)
    assert time.monotonic() - started >= 1


@pytest.mark.parametrize("fault", ["cut", "stall"])
def test_a_body_that_ends_early_is_an_error(remote: Remote, connect: Connect, tmp_path: Path, fault: str) -> None:
    oid = add_object(remote.root, b"content" * 100)
    remote.faults[oid.key] = [fault]
    with pytest.raises(StoreError) as caught:
        connect(remote, attempts=2, read_timeout=0.3 if fault == "stall" else 60).get(oid, tmp_path / "got", nothing)
    assert oid.key in caught.value.message
    assert isinstance(caught.value, CorruptObject) is (fault == "cut")


def test_a_login_page_is_no_proof_of_presence(remote: Remote, connect: Connect) -> None:
    oid = add_object(remote.root, b"content")
    remote.faults[""] = ["login"]
    answer = connect(remote).ask([oid])[oid]
    assert answer.presence is Presence.UNDETERMINED
    assert "text/html" in answer.reason


def test_an_object_that_is_a_page_is_recognised_by_its_hash(remote: Remote, connect: Connect) -> None:
    oid = add_object(remote.root, b"<html><form>Please log in</form></html>")
    remote.faults[""] = ["login"]
    assert connect(remote).ask([oid])[oid].presence is Presence.PRESENT


def test_absent_401_and_403_are_told_apart_when_reading(remote: Remote, connect: Connect, tmp_path: Path) -> None:
    store = connect(remote)
    with pytest.raises(FileNotFoundError):
        store.get(ABSENT, tmp_path / "got", nothing)
    for status in (401, 403):
        remote.faults[""] = [status]
        with pytest.raises(AccessDenied, match=str(status)) as caught:
            store.get(ABSENT, tmp_path / "got", nothing)
        assert caught.value.remedy


@pytest.mark.parametrize(("status", "config", "said"), [
    (401, {}, "No credentials were sent: set MLBUTLER_REMOTE_ORIGIN_USER and MLBUTLER_REMOTE_ORIGIN_PASSWORD"),
    (403, {}, "No credentials were sent: set MLBUTLER_REMOTE_ORIGIN_USER and MLBUTLER_REMOTE_ORIGIN_PASSWORD"),
    (401, {"auth": "basic", "user": "u", "password": "wrong"}, "are wrong: set MLBUTLER_REMOTE_ORIGIN_USER and"),
    (401, {"auth": "custom", "custom_auth_header": "X-Key", "password": "w"}, "set MLBUTLER_REMOTE_ORIGIN_PASSWORD."),
    (403, {"auth": "basic", "user": "u", "password": "known"}, "ask for access"),
    (407, {"auth": "basic", "user": "u", "password": "known"}, "HTTPS_PROXY"),
])  # fmt: skip
def test_what_to_do_depends_on_what_was_sent(
    remote: Remote, connect: Connect, status: int, config: dict[str, str], said: str
) -> None:
    remote.faults[""] = [status]
    assert said in connect(remote, **config).ask([ABSENT])[ABSENT].remedy


def test_basic_auth_and_upload(make_remote: Callable[..., Remote], connect: Connect, tmp_path: Path) -> None:
    remote = make_remote(auth="basic")
    source = tmp_path / "source"
    source.write_bytes(b"new" * 1000)
    oid = add_object(tmp_path / "elsewhere", b"new" * 1000)
    with pytest.raises(AccessDenied, match="401"):
        connect(remote).put(oid, source, nothing)
    sizes: list[int] = []
    connect(remote, auth="basic", user=USER, password=PASSWORD).put(oid, source, sizes.append)
    assert (remote.root / oid.key).read_bytes() == b"new" * 1000
    assert sum(sizes) == 3000


def test_missing_credentials_are_named(remote: Remote, connect: Connect) -> None:
    with pytest.raises(AccessDenied) as caught:
        connect(remote, auth="basic")
    assert "MLBUTLER_REMOTE_ORIGIN_USER" in caught.value.remedy


def test_upload_method(make_remote: Callable[..., Remote], connect: Connect, tmp_path: Path) -> None:
    remote = make_remote(upload="PUT")
    source = tmp_path / "source"
    source.write_bytes(b"new")
    oid = add_object(tmp_path / "elsewhere", b"new")
    with pytest.raises(StoreError, match="405") as caught:
        connect(remote).put(oid, source, nothing)
    assert "method PUT" in caught.value.remedy
    connect(remote, method="put").put(oid, source, nothing)
    assert (remote.root / oid.key).read_bytes() == b"new"


@pytest.mark.parametrize(
    ("auth", "config"),
    [
        ("basic", {"auth": "basic", "user": USER, "password": PASSWORD}),
        ("custom", {"auth": "custom", "custom_auth_header": "X-Key", "password": "t0ken-value"}),
    ],
)
def test_credentials_stay_with_their_host(
    make_remote: Callable[..., Remote], connect: Connect, tmp_path: Path, auth: str, config: dict[str, str]
) -> None:
    own, foreign = make_remote(auth=auth, header=("X-Key", "t0ken-value")), make_remote()
    oid = add_object(foreign.root, b"content")
    own.faults[oid.key] = [f"{foreign.url}/{oid.key}"]
    connect(own, **config).get(oid, tmp_path / "got", nothing)
    assert (tmp_path / "got").read_bytes() == b"content"
    assert all("X-Key" not in headers and "Authorization" not in headers for headers in foreign.received)


def test_an_upload_that_is_redirected_is_not_taken_for_done(remote: Remote, connect: Connect, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"new")
    remote.faults[""] = ["/elsewhere"]
    with pytest.raises(StoreError, match="redirect"):
        connect(remote).put(ABSENT, source, nothing)


def test_no_message_holds_a_password(remote: Remote, tmp_path: Path) -> None:
    url = remote.url.replace("//", f"//{USER}:hunter2-secret@")
    store = HttpStore("origin", url, {}, environ={}, policy=RetryPolicy(attempts=1))
    messages = [store.url]
    for fault in (401, 403, 500, 404, "cut", "login", "reset", 302, "ftp://x/y", "http://[broken/"):
        oid = add_object(remote.root, b"content" * 50)
        remote.faults[""] = [fault]
        messages.append(store.ask([oid])[oid].reason)
        try:
            store.get(oid, tmp_path / "got", nothing)
        except (StoreError, FileNotFoundError) as error:
            messages += [str(error), getattr(error, "remedy", "")]
    assert len(messages) > 12
    assert not any("hunter2" in message for message in messages)


@pytest.mark.parametrize("folder", ["proj one", "größe", "a%20b", "100% sure"])
def test_an_address_is_escaped_as_dvc_does(remote: Remote, folder: str, tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"new")
    store = HttpStore("origin", f"{remote.url}/{folder}", {}, environ={}, policy=RetryPolicy(attempts=1))
    store.put(ABSENT, tmp_path / "new", nothing)
    assert store.ask([ABSENT])[ABSENT].presence is Presence.PRESENT
    sent = URL(f"{remote.url}/{folder}").raw_path.removeprefix("/repo.dvc/")  # what DVC's client makes of it
    assert {path for method, path in remote.requests if method != "HEAD"} == {f"{sent}/{ABSENT.key}"}
    assert {path[: len(sent)] for _, path in remote.requests} == {sent}


def test_a_redirect_to_an_address_with_a_space_is_followed(remote: Remote, connect: Connect, tmp_path: Path) -> None:
    oid = add_object(remote.root, b"content")
    add_object(remote.root / "else%20where", b"content")
    remote.faults[oid.key] = [f"{remote.url}/else where/{oid.key}"]
    connect(remote).get(oid, tmp_path / "got", nothing)
    assert (tmp_path / "got").read_bytes() == b"content"


def test_escapes_in_the_address_user_and_password_are_undone(remote: Remote) -> None:
    url = remote.url.replace("//", "//an%40n:p%2Fw@")
    HttpStore("origin", url, {}, environ={}, policy=RetryPolicy(attempts=1)).ask([ABSENT])
    assert remote.received[0]["Authorization"] == f"Basic {base64.b64encode(b'an@n:p/w').decode()}"
