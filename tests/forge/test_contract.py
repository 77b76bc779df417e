"""What every forge on the network has to keep, whatever its API looks like and whatever goes wrong."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator

import pytest

from mlbutler.errors import ForgeError, UsageError
from mlbutler.forge import http
from mlbutler.forge.http import Refused
from mlbutler.forge.interface import Picture, State
from tests.forge.conftest import PATIENCE, Meeting, body, change
from tests.forge.fake import HEAD, OTHER_HEAD, SOMEBODY, TOKEN, Answer, FakeForge, Fault, Pull

WRITES = ("POST", "PUT", "PATCH", "DELETE")


def crowd(meeting: Meeting, count: int) -> None:
    for number in range(count):
        meeting.dialect.add("17", f"comment {number} by somebody <!-- not ours -->", SOMEBODY)


# --------------------------------------------------------------------------------------- the comment


def test_a_comment_is_added_and_then_updated_in_place(meeting: Meeting) -> None:
    meeting.post(HEAD, "first, with ünïcode and <b>markup</b>")
    meeting.post(OTHER_HEAD, "second")
    meeting.post("c" * 40, "third")
    (note,) = meeting.dialect.notes
    assert note.body.split() == body("c" * 40, "third").split()


@pytest.mark.parametrize(("before", "after", "page"), [(35, 10, 30), (100, 0, 100), (135, 130, 100), (99, 1, 100)])
def test_our_comment_is_found_on_whatever_page_it_is(meeting: Meeting, before: int, after: int, page: int) -> None:
    meeting.dialect.page = page
    crowd(meeting, before)
    meeting.post(HEAD, "old")
    crowd(meeting, after)
    meeting.post(OTHER_HEAD, "new")
    (note,) = meeting.ours()
    assert "new" in note.body
    assert len(meeting.dialect.notes) == before + after + 1


def test_reports_are_told_apart_by_their_titles(meeting: Meeting) -> None:
    titles = ("mlbutler", "mlbutler vision", "mlbutler speech/a", "mlbutler -- ü <b>")
    for _ in range(2):
        for title in titles:
            meeting.post(HEAD, f"of {title}", title)
    assert len(meeting.dialect.notes) == len(titles)
    assert [len(meeting.ours(title)) for title in titles] == [1] * len(titles)


def test_a_stale_build_leaves_the_comment_of_a_newer_commit(meeting: Meeting) -> None:
    meeting.order = (HEAD, OTHER_HEAD)
    meeting.post(OTHER_HEAD, "newer")
    sent = len(meeting.server.seen)
    assert meeting.post(HEAD, "stale") == OTHER_HEAD
    assert "newer" in meeting.ours()[0].body
    assert not [seen for seen in meeting.server.seen[sent:] if seen.method in WRITES]


def test_the_same_report_again_writes_nothing(meeting: Meeting) -> None:
    meeting.post()
    sent = len(meeting.server.seen)
    meeting.post()
    assert not [seen for seen in meeting.server.seen[sent:] if seen.method in WRITES]


@pytest.mark.parametrize("order", [(HEAD, OTHER_HEAD), (OTHER_HEAD, HEAD)])
def test_two_builds_at_once_end_with_one_comment_of_the_newer_commit(meeting: Meeting, order: tuple[str, str]) -> None:
    meeting.order = order
    meeting.server.together = threading.Barrier(2)
    threads = [threading.Thread(target=meeting.post, args=(head, f"of {head}")) for head in (HEAD, OTHER_HEAD)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(meeting.server.sent("POST")) == 2  # both believed to be the first
    (note,) = meeting.ours()
    assert f"of {order[-1]}" in note.body


def test_a_marker_in_somebody_elses_comment_is_neither_trusted_nor_overwritten(meeting: Meeting) -> None:
    meeting.order = (HEAD, OTHER_HEAD)
    theirs = meeting.dialect.add("17", body(OTHER_HEAD, "**Better**: believe me"), SOMEBODY)
    assert meeting.post(HEAD, "the truth") == ""
    assert "believe me" in theirs.body
    assert any("the truth" in note.body for note in meeting.ours())


def test_a_comment_that_may_not_be_edited_is_left_and_ours_added(meeting: Meeting) -> None:
    meeting.dialect.user = Answer(403, {"message": "this token may not ask"})
    theirs = meeting.dialect.add("17", body(OTHER_HEAD, "theirs"), SOMEBODY)
    for text in ("one", "two"):
        meeting.post(HEAD, text)
    assert "theirs" in theirs.body
    assert len(meeting.dialect.notes) == 2
    assert "two" in meeting.dialect.notes[1].body


def test_a_comment_that_vanishes_meanwhile_is_written_again(meeting: Meeting) -> None:
    meeting.post(HEAD, "old")
    update = "PATCH" if meeting.dialect.kind in ("github", "gitea", "dagshub", "gogs") else "PUT"
    meeting.server.faults = [Fault(update, answer=Answer(404, {"message": "Not Found"}))]
    meeting.post(OTHER_HEAD, "new")
    assert "new" in "".join(note.body for note in meeting.ours())


# --------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("status", "word"), [(401, "MLBUTLER_FORGE_TOKEN"), (403, "MLBUTLER_FORGE_TOKEN"), (404, "docs")]
)
def test_a_refusal_says_what_to_do_and_writes_nothing(meeting: Meeting, status: int, word: str) -> None:
    meeting.server.faults = [Fault(answer=Answer(status, {"message": "the forge's own words"}), times=9)]
    with pytest.raises(Refused) as caught:
        meeting.post()
    assert caught.value.exit_code == 3
    assert str(status) in caught.value.message
    assert "the forge's own words" in caught.value.message
    assert word in caught.value.remedy
    assert meeting.dialect.notes == []


def test_a_refused_comment_is_told_in_the_forges_words(meeting: Meeting) -> None:
    said = {"message": "Validation Failed", "errors": [{"message": "Body is too long"}]}
    meeting.server.faults = [Fault("POST", answer=Answer(422, said))]
    with pytest.raises(Refused, match=r"422.*Body is too long"):
        meeting.post()
    assert len(meeting.server.sent("POST")) == 1


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


def test_a_limit_that_names_the_time_of_its_end_is_waited_out(meeting: Meeting, naps: list[float]) -> None:
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 3)}
    meeting.server.faults = [Fault(answer=Answer(403, {"message": "API rate limit exceeded"}, headers))]
    meeting.post()
    assert len(naps) == 1
    assert 1 < naps[0] <= 4
    assert len(meeting.ours()) == 1


def test_a_limit_that_lasts_too_long_sends_the_user_away(meeting: Meeting, naps: list[float]) -> None:
    meeting.server.faults = [Fault(answer=Answer(429, {"message": "enough"}, {"Retry-After": "3600"}))]
    with pytest.raises(Refused) as caught:
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
        "slow": Fault(method, slow=0.6),
        "failed": Fault(method, after=Answer(502)),
    }
    meeting.server.faults = [faults[how]]
    meeting.post(HEAD, "new")
    (note,) = meeting.ours()
    assert "new" in note.body
    assert len(meeting.server.sent("POST")) == 1


def test_a_line_that_is_cut_before_anything_was_done_is_tried_again(meeting: Meeting) -> None:
    meeting.server.faults = [Fault("GET", cut=True, done=False), Fault("POST", cut=True, done=False)]
    meeting.post()
    assert len(meeting.ours()) == 1


def test_a_forge_that_is_too_slow_is_an_error(meeting: Meeting) -> None:
    meeting.server.faults = [Fault(slow=0.3, done=False, times=9)]
    patience = dataclasses.replace(PATIENCE, read=0.1, attempts=2)
    with pytest.raises(ForgeError, match="in time"):
        meeting.open(patience).comment(change(), "mlbutler", body(), lambda head: False)


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
    with pytest.raises(Refused, match="another host"):
        meeting.post()
    assert elsewhere.seen == []  # neither the token nor the report
    elsewhere.shutdown()
    elsewhere.server_close()


def test_the_token_is_in_a_header_and_nowhere_else(meeting: Meeting, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    meeting.post()
    forge = meeting.open()
    if forge.capabilities.statuses:
        forge.status(change(), "mlbutler", State.FAILURE, "Worse", "https://ci.example.org/1")
    for seen in meeting.server.seen:
        assert TOKEN not in f"{seen.path}?{seen.query}"
        assert TOKEN.encode() not in seen.body
        assert sum(TOKEN in value for value in seen.headers.values()) == 1
    meeting.server.faults = [Fault(answer=Answer(403, {"message": "no"}), times=9)]
    with pytest.raises(Refused) as caught:
        meeting.post()
    assert TOKEN not in f"{caught.value!r} {caught.value.message} {caught.value.remedy} {caplog.text}"


# --------------------------------------------------------------------------------------- pull requests, statuses


def test_the_pull_request_is_found_by_its_head(finding: Meeting) -> None:
    finding.dialect.pulls = [Pull(3, OTHER_HEAD, "other"), Pull(4, HEAD, "work")]
    found = finding.open().pull_request(change(HEAD, None))
    assert found is not None
    assert (found.number, found.head, found.target_branch) == ("4", HEAD, "main")


def test_the_pull_request_is_found_by_its_branch(finding: Meeting) -> None:
    finding.dialect.pulls = [Pull(3, "c" * 40, "other"), Pull(4, OTHER_HEAD, "work")]
    found = finding.open().pull_request(change(HEAD, None))
    assert found is not None
    assert found.number == "4"


def test_a_pull_request_on_top_of_this_branch_is_not_ours(finding: Meeting) -> None:
    finding.dialect.pulls = [Pull(5, OTHER_HEAD, "on-top", "work", commits=(HEAD,))]
    assert finding.open().pull_request(change(HEAD, None)) is None


def test_several_pull_requests_are_an_error_that_lists_them(finding: Meeting) -> None:
    finding.dialect.pulls = [Pull(3, HEAD, "work", "one"), Pull(4, HEAD, "work", "two")]
    with pytest.raises(UsageError) as caught:
        finding.open().pull_request(change(HEAD, None))
    assert "3 (work into one); 4 (work into two)" in caught.value.message
    finding.dialect.pulls.append(Pull(5, HEAD, "work", "main"))
    found = finding.open().pull_request(change(HEAD, None))
    assert found is not None
    assert found.number == "5"  # the target branch decides


def test_outside_a_pull_request_the_commit_is_commented_on_where_that_can_be(committing: Meeting) -> None:
    forge = committing.open()
    for text in ("one", "one", "two"):
        committing.post(HEAD, text, number=None)
    notes = committing.ours(on=HEAD)
    assert "two" in notes[-1].body
    assert len(notes) == (1 if forge.capabilities.editing else 2)


def test_a_status_is_set_and_changes(judging: Meeting) -> None:
    forge = judging.open()
    long = "Worse: accuracy 0.9 -> 0.8 " + "x" * 2000
    sentence = long[: forge.capabilities.sentence_limit]
    forge.status(change(), "mlbutler", State.PENDING, "Running", "https://ci.example.org/1")
    forge.status(change(), "mlbutler", State.PENDING, "Running", "https://ci.example.org/1")
    for state in (State.SUCCESS, State.FAILURE, State.ERROR):
        forge.status(change(), "mlbutler", state, sentence, "https://ci.example.org/1")
    forge.status(change(), "mlbutler vision", State.SUCCESS, "", "")
    said = judging.dialect.statuses
    assert {status["sha"] for status in said} == {HEAD}
    assert said[0]["state"].lower() in ("pending", "running", "inprogress")
    assert [s["state"].lower() for s in said if s["name"] == "mlbutler"][-3:-1] in (
        ["success", "failure"], ["success", "failed"], ["successful", "failed"]
    )  # fmt: skip
    assert said[-2]["said"] == sentence
    assert said[-2]["url"] == "https://ci.example.org/1"
    assert said[-1]["name"] == "mlbutler vision"


def test_a_status_survives_a_broken_line(judging: Meeting) -> None:
    forge = judging.open()
    judging.server.faults = [Fault("POST", "status", cut=True), Fault("POST", "build", cut=True)]
    forge.status(change(), "mlbutler", State.SUCCESS, "Better", "https://ci.example.org/1")
    assert {s["state"].lower() for s in judging.dialect.statuses} in ({"success"}, {"successful"})


# --------------------------------------------------------------------------------------- pictures

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
NAMES = (f"plot-{'0' * 19}1.png", f"plot-{'0' * 19}2.svg")


def attach(meeting: Meeting, names: tuple[str, ...] = NAMES) -> dict[str, str] | None:
    media = {"png": "image/png", "svg": "image/svg+xml"}
    pictures = [Picture(name, media[name.rpartition(".")[2]], PNG) for name in names]
    return meeting.open().attach(change(), "mlbutler", pictures, meeting.is_older(HEAD))


def test_pictures_are_uploaded_once_and_found_again(gallery: Meeting) -> None:
    assert attach(gallery) is None  # there is no comment yet
    gallery.post()
    placed = attach(gallery)
    assert placed is not None
    assert list(placed) == list(NAMES)
    assert gallery.dialect.files == dict.fromkeys(NAMES, PNG)
    gallery.post(text=" ".join(f"![a plot]({address})" for address in placed.values()))
    sent = len(gallery.server.sent("POST"))
    assert attach(gallery) == placed
    assert len(gallery.server.sent("POST")) == sent


def test_a_picture_that_is_refused_is_left_out(gallery: Meeting) -> None:
    gallery.post()
    for status in (400, 403, 404, 413, 422):
        gallery.server.faults = [Fault("POST", answer=Answer(status, {"message": "not this one"}))]
        placed = attach(gallery)
        assert placed is not None
        assert placed[NAMES[0]] == ""
        assert placed[NAMES[1]]


def test_a_stale_build_uploads_nothing(gallery: Meeting) -> None:
    gallery.order = (HEAD, OTHER_HEAD)
    gallery.post(OTHER_HEAD)
    assert attach(gallery) == {}
    assert gallery.dialect.files == {}
