"""What every forge on the network has to keep when something goes wrong, and where the token may go."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from mlbutler.errors import ForgeError
from mlbutler.forge import http
from mlbutler.forge.http import RequestRefused
from mlbutler.forge.interface import CommitStatus
from tests.forge.conftest import POLICY, Meeting, body, change
from tests.forge.fake import HEAD, OTHER_HEAD, TOKEN, Answer, FakeForge, Fault

# --------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("status", "word"), [(401, "MLBUTLER_FORGE_TOKEN"), (403, "MLBUTLER_FORGE_TOKEN"), (404, "mlbutler help forges")]
)
def test_a_refusal_says_what_to_do_and_writes_nothing(meeting: Meeting, status: int, word: str) -> None:
    meeting.server.faults = [Fault(answer=Answer(status, {"message": "the forge's own words"}), times=9)]
    with pytest.raises(RequestRefused) as caught:
        meeting.post()
    assert caught.value.exit_code == 3
    assert str(status) in caught.value.message
    assert "the forge's own words" in caught.value.message
    assert word in caught.value.remedy
    assert meeting.dialect.notes == []


def test_a_refused_comment_is_told_in_the_forges_words(meeting: Meeting) -> None:
    said = {"message": "Validation Failed", "errors": [{"message": "Body is too long"}]}
    meeting.server.faults = [Fault("POST", answer=Answer(422, said))]
    with pytest.raises(RequestRefused, match=r"422.*Body is too long"):
        meeting.post()
    assert len(meeting.server.requests_of("POST")) == 1


def test_a_conflict_is_tried_again(meeting: Meeting) -> None:
    meeting.post(HEAD, "old")
    for method in ("PATCH", "PUT"):
        meeting.server.faults.append(Fault(method, answer=Answer(409, {"message": "changed meanwhile"})))
    meeting.post(OTHER_HEAD, "new")
    (note,) = meeting.ours()
    assert "new" in note.body


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """How long was waited between requests; the waiting itself is left out."""
    taken: list[float] = []
    monkeypatch.setattr(http, "sleep", taken.append)
    yield taken


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("answer", "least", "most"),
    [
        (Answer(429, {"message": "slow down"}, {"Retry-After": "3"}), 3, 3),
        (Answer(403, {"message": "You have exceeded a secondary rate limit"}, {"Retry-After": "4"}), 4, 4),
        (Answer(503, {"message": "busy"}, {"Retry-After": "2"}), 2, 2),
    ],
)
def test_a_limit_on_requests_is_waited_out(
    meeting: Meeting, naps: list[float], method: str, answer: Answer, least: float, most: float
) -> None:
    meeting.server.faults = [Fault(method, answer=answer, times=2)]
    meeting.post()
    assert naps == [least, most]
    assert len(meeting.ours()) == 1


def test_a_limit_that_names_the_time_of_its_end_is_waited_out(
    meeting: Meeting, naps: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "time", SimpleNamespace(time=lambda: 1000.5))
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1003"}
    meeting.server.faults = [Fault(answer=Answer(403, {"message": "API rate limit exceeded"}, headers))]
    meeting.post()
    assert naps == [3.5]  # a second more, as it names whole seconds
    assert len(meeting.ours()) == 1


def test_a_limit_that_lasts_too_long_sends_the_user_away(meeting: Meeting, naps: list[float]) -> None:
    meeting.server.faults = [Fault(answer=Answer(429, {"message": "enough"}, {"Retry-After": "3600"}))]
    with pytest.raises(RequestRefused) as caught:
        meeting.post()
    assert "3600 s" in caught.value.remedy
    assert naps == []


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_passing_failure_is_tried_again(meeting: Meeting, status: int) -> None:
    meeting.server.faults = [Fault("GET", answer=Answer(status)), Fault("POST", answer=Answer(status), times=2)]
    meeting.post()
    assert len(meeting.ours()) == 1


def test_a_failure_that_stays_is_an_error_worth_a_retry(meeting: Meeting) -> None:
    meeting.server.faults = [Fault(answer=Answer(500), times=99)]
    with pytest.raises(ForgeError) as caught:
        meeting.post()
    assert caught.value.exit_code == 3
    assert "mlbutler publish" in caught.value.remedy


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("how", ["cut", "slow", "failed"])
def test_what_was_written_before_the_line_broke_is_not_written_twice(meeting: Meeting, method: str, how: str) -> None:
    if method != "POST":
        meeting.post(OTHER_HEAD, "old")
    faults = {
        "cut": Fault(method, cut=True),
        "slow": Fault(method, slow=60),
        "failed": Fault(method, after=Answer(502)),
    }
    meeting.server.faults = [faults[how]]
    impatient = dataclasses.replace(POLICY, read=0.4, attempts=50)  # other requests may be slow on a busy machine
    meeting.post(HEAD, "new", policy=impatient if how == "slow" else POLICY)
    (note,) = meeting.ours()
    assert "new" in note.body
    assert len(meeting.server.requests_of("POST")) == 1


def test_a_line_that_is_cut_before_anything_was_done_is_tried_again(meeting: Meeting) -> None:
    meeting.server.faults = [Fault("GET", cut=True, done=False), Fault("POST", cut=True, done=False)]
    meeting.post()
    assert len(meeting.ours()) == 1


def test_a_forge_that_is_too_slow_is_an_error(meeting: Meeting) -> None:
    meeting.server.faults = [Fault(slow=60, done=False, times=9)]
    policy = dataclasses.replace(POLICY, read=0.1, attempts=2)
    with pytest.raises(ForgeError, match="in time"):
        meeting.open(policy).comment(change(), "mlbutler", body(), lambda head: False)


def test_a_forge_that_is_down_is_an_error(meeting: Meeting) -> None:
    meeting.server.shutdown()
    meeting.server.server_close()
    with pytest.raises(ForgeError, match="cannot be reached") as caught:
        meeting.post()
    assert caught.value.exit_code == 3


def test_a_page_instead_of_an_answer_is_an_error(meeting: Meeting) -> None:
    meeting.server.faults = [Fault(answer=Answer(200, None, {"Content-Type": "text/html"}), times=9)]
    with pytest.raises(ForgeError) as caught:
        meeting.post()
    assert "forge.url" in caught.value.remedy


# --------------------------------------------------------------------------------------- redirects, tokens


@pytest.mark.parametrize(("method", "status"), [("GET", 302), ("POST", 301), ("POST", 307), ("POST", 308)])
def test_a_redirect_on_the_same_host_is_followed_with_the_same_method(
    meeting: Meeting, method: str, status: int
) -> None:
    meeting.post(OTHER_HEAD, "unrelated", title="other")
    place = next(seen for seen in meeting.server.seen if seen.method == "POST").path
    moved = Answer(status, None, {"Location": f"{place}"})
    meeting.server.faults = [Fault(method, "", answer=moved)] if method == "POST" else []
    meeting.post()
    assert len(meeting.ours()) == 1


def test_the_token_does_not_follow_a_redirect_to_another_host(meeting: Meeting) -> None:
    elsewhere = FakeForge(type(meeting.dialect)())
    meeting.server.faults = [Fault("GET", answer=Answer(302, None, {"Location": f"{elsewhere.url}/x?page=1"}))]
    with pytest.raises(ForgeError):
        meeting.post()
    assert elsewhere.seen
    assert all(TOKEN not in f"{seen.headers}{seen.path}{seen.query}" for seen in elsewhere.seen)
    elsewhere.seen.clear()
    meeting.server.faults = [Fault("POST", answer=Answer(307, None, {"Location": f"{elsewhere.url}/x"}))]
    with pytest.raises(RequestRefused, match="another host"):
        meeting.post()
    assert elsewhere.seen == []  # neither the token nor the report
    elsewhere.shutdown()
    elsewhere.server_close()


def test_the_token_is_in_a_header_and_nowhere_else(meeting: Meeting, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    meeting.post()
    forge = meeting.open()
    if forge.capabilities.statuses:
        forge.status(change(), "mlbutler", CommitStatus.FAILURE, "Worse", "https://ci.example.org/1")
    for seen in meeting.server.seen:
        assert TOKEN not in f"{seen.path}?{seen.query}"
        assert TOKEN.encode() not in seen.body
        assert sum(TOKEN in value for value in seen.headers.values()) == 1
    meeting.server.faults = [Fault(answer=Answer(403, {"message": "no"}), times=9)]
    with pytest.raises(RequestRefused) as caught:
        meeting.post()
    assert TOKEN not in f"{caught.value!r} {caught.value.message} {caught.value.remedy} {caplog.text}"
