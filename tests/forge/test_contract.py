"""What every forge on the network has to keep, whatever its API looks like and whatever goes wrong."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pytest

from mlbutler.errors import UsageError
from mlbutler.forge import hosted, http
from mlbutler.forge.hosted import Hosted
from mlbutler.forge.interface import Comment, CommitStatus, PictureFile
from mlbutler.record import Change
from tests.forge.conftest import Meeting, body, change
from tests.forge.fake import HEAD, OTHER_HEAD, SOMEBODY, Answer, Fault, Pull

WRITES = ("POST", "PUT", "PATCH", "DELETE")


def crowd(meeting: Meeting, count: int) -> None:
    for number in range(count):
        meeting.dialect.add("17", f"comment {number} by somebody <!-- not ours -->", SOMEBODY)


# ---------------------------------------------------------------------------------- a pull request


def test_a_pull_request_is_opened_once_even_where_the_answer_is_lost(offering: Meeting) -> None:
    asked = change("c" * 40, None, "lr-1-branch")
    offering.server.faults.append(Fault("POST", cut=True))
    pull = offering.open().open_pull_request(asked, "a title", "a text")
    assert (pull.head_branch, pull.target_branch) == ("lr-1-branch", "main")
    again = offering.open().open_pull_request(asked, "a title", "a text")
    assert again.number == pull.number != "17"
    assert len(offering.server.requests_of("POST")) == 1
    sent = offering.server.requests_of("POST")[0].json
    assert {"a title", "a text"} <= {value for value in sent.values() if isinstance(value, str)}


def test_a_pull_request_is_closed_and_no_other(offering: Meeting) -> None:
    asked = change("c" * 40, None, "lr-1-branch")
    pull = offering.open().open_pull_request(asked, "a title", "a text")
    offering.server.faults.append(Fault("", part=f"/{pull.number}", cut=True))
    nothing = change("0" * 40, None, "lr-1-branch")  # known by its branch alone
    assert offering.open().close_pull_requests(nothing) == (pull.number,)
    assert [pull.number for pull in offering.dialect.pulls] == [17]
    assert offering.open().close_pull_requests(nothing) == ()


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


def test_two_pipelines_at_once_write_a_comment_each_and_touch_no_other(meeting: Meeting) -> None:
    meeting.order = (HEAD, OTHER_HEAD)
    meeting.post(OTHER_HEAD, "of the pipeline without a name")
    meeting.post(OTHER_HEAD, "of the folder of that name", "mlbutler gpu")
    meeting.server.together = threading.Barrier(2)
    pipelines = ("mlbutler/gpu", "mlbutler/cpu")
    threads = [threading.Thread(target=meeting.post, args=(HEAD, f"of {name}", name)) for name in pipelines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = {note.body: note.version for note in meeting.dialect.notes}
    assert [len(meeting.ours(title)) for title in ("mlbutler", "mlbutler gpu", *pipelines)] == [1, 1, 1, 1]
    meeting.post(OTHER_HEAD, "again", "mlbutler/gpu")
    (changed,) = [note for note in meeting.dialect.notes if note.body not in told]
    assert changed.body.split() == body(OTHER_HEAD, "again", "mlbutler/gpu").split()
    assert {body: told[body] for body in told if "of mlbutler/gpu" not in body} == {
        note.body: note.version for note in meeting.dialect.notes if note is not changed
    }


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
    assert len(meeting.server.requests_of("POST")) == 2  # both believed to be the first
    (note,) = meeting.ours()
    assert f"of {order[-1]}" in note.body


@pytest.mark.parametrize("order", [(HEAD, OTHER_HEAD), (OTHER_HEAD, HEAD)])
def test_a_build_that_comes_between_looking_and_writing_leaves_one_comment(
    meeting: Meeting, order: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting.order = order
    forge = meeting.open()
    assert isinstance(forge, Hosted)
    create = forge.adapter.create

    def late(about: Change, text: str) -> Comment:
        meeting.post(OTHER_HEAD, "of the other")
        return create(about, text)

    monkeypatch.setattr(forge.adapter, "create", late)
    posted = forge.comment(change(), "mlbutler", body(HEAD, "of this"), meeting.is_older(HEAD))
    (note,) = meeting.ours()
    assert ("of this" if order[-1] == HEAD else "of the other") in note.body
    assert posted.newer == ("" if order[-1] == HEAD else OTHER_HEAD)


def test_what_a_newer_build_left_as_it_was_killed_is_not_removed_with_its_comment(
    meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting.order = (HEAD, OTHER_HEAD)
    forge = meeting.open()
    assert isinstance(forge, Hosted)
    create = forge.adapter.create

    def both(about: Change, text: str) -> Comment:
        made = create(about, text)
        create(about, body(OTHER_HEAD, "of the other"))  # that build will not look again
        return made

    monkeypatch.setattr(forge.adapter, "create", both)
    posted = forge.comment(change(), "mlbutler", body(HEAD, "of this"), meeting.is_older(HEAD))
    (note,) = meeting.ours()
    assert "of the other" in note.body
    assert posted.newer == OTHER_HEAD


def test_a_stale_build_that_had_to_wait_looks_again_before_it_writes(
    meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting.order = ("c" * 40, HEAD, OTHER_HEAD)
    for answer in (Answer(429, {"message": "slow down"}, {"Retry-After": "2"}), Answer(502), None):
        meeting.post("c" * 40, "old")
        meanwhile = iter([OTHER_HEAD])

        def wait(seconds: float, builds: Iterator[str] = meanwhile) -> None:
            for head in builds:
                meeting.server.faults = []
                meeting.post(head, "newer")

        monkeypatch.setattr(http, "sleep", wait)
        monkeypatch.setattr(hosted, "sleep", wait)
        meeting.server.faults = [
            Fault(method, answer=answer, cut=answer is None, done=False) for method in ("PATCH", "PUT")
        ]
        assert meeting.post(HEAD, "stale") == OTHER_HEAD
        (note,) = meeting.ours()
        assert "newer" in note.body
        meeting.dialect.notes.clear()


def test_a_verdict_that_did_not_arrive_is_not_taken_for_the_live_comment(meeting: Meeting) -> None:
    meeting.post(HEAD, "**Running**: stage train")
    meeting.server.faults = [Fault(method, cut=True, done=False) for method in ("PATCH", "PUT")]
    meeting.post(HEAD, "**Better**: accuracy 0.8 -> 0.9")
    (note,) = meeting.ours()
    assert "**Better**" in note.body


def test_an_account_with_two_names_ends_with_few_comments(meeting: Meeting) -> None:
    meeting.dialect.user = Answer(200, {"id": 12345, "uuid": "{12345}"}, {"X-AUSERNAME": "an-alias"})
    meeting.post()
    assert len(meeting.ours()) == 1


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


def test_a_comment_of_the_account_before_is_named(meeting: Meeting) -> None:
    before = meeting.dialect.add("17", body(OTHER_HEAD, "by the old token"), SOMEBODY)
    quoting = meeting.dialect.add("17", f"{body(OTHER_HEAD, 'quoted')}\n\nI agree", SOMEBODY)
    meeting.post(HEAD, "one")
    meeting.post(HEAD, "two")
    (ours,) = [note for note in meeting.dialect.notes if note not in (before, quoting)]
    said = "This account does not update what others wrote under the same name: "
    assert len(re.findall(rf"{re.escape(said)}(?:\[comment\]\(http[^()\s]+\)|a comment)\.$", ours.body, re.M)) == 1
    assert ours.body.rstrip().splitlines()[-1] == body(HEAD).rstrip().splitlines()[-1]
    written = len(meeting.server.seen)
    meeting.post(HEAD, "two")
    assert {seen.method for seen in meeting.server.seen[written:]} == {"GET"}
    for number in range(5):
        meeting.dialect.add("17", body(OTHER_HEAD, f"planted {number}"), SOMEBODY)
    meeting.post(HEAD, "three")
    assert "and 3 more." in ours.body
    assert "two" not in ours.body
    assert before.body == body(OTHER_HEAD, "by the old token")


def test_a_comment_that_vanishes_meanwhile_is_written_again(meeting: Meeting) -> None:
    meeting.post(HEAD, "old")
    update = "PATCH" if meeting.dialect.kind in ("github", "gitea", "dagshub", "gogs") else "PUT"
    meeting.server.faults = [Fault(update, answer=Answer(404, {"message": "Not Found"}))]
    meeting.post(OTHER_HEAD, "new")
    assert "new" in "".join(note.body for note in meeting.ours())


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
    forge.status(change(), "mlbutler", CommitStatus.PENDING, "Running", "https://ci.example.org/1")
    forge.status(change(), "mlbutler", CommitStatus.PENDING, "Running", "https://ci.example.org/1")
    for state in (CommitStatus.SUCCESS, CommitStatus.FAILURE, CommitStatus.ERROR):
        forge.status(change(), "mlbutler", state, sentence, "https://ci.example.org/1")
    forge.status(change(), "mlbutler vision", CommitStatus.SUCCESS, "", "")
    said = judging.dialect.statuses
    assert {status["sha"] for status in said} == {HEAD}
    assert said[0]["state"].lower() in ("pending", "running", "inprogress")
    assert [s["state"].lower() for s in said if s["name"] == "mlbutler"][-3:-1] in (
        ["success", "failure"], ["success", "failed"], ["successful", "failed"]
    )  # fmt: skip
    assert said[-2]["said"] == sentence
    assert said[-2]["url"] == "https://ci.example.org/1"
    assert said[-1]["name"] == "mlbutler vision"
    forge.status(change(), "mlbutler", CommitStatus.CANCELED, "Interrupted", "")
    assert judging.dialect.statuses[-1]["state"].lower() in ("error", "canceled", "cancelled", "stopped")


def test_pipelines_of_the_longest_names_have_a_status_each(judging: Meeting) -> None:
    names = [f"mlbutler/{'x' * 28}-{digit}" for digit in "12"]
    for name, state in zip(names, (CommitStatus.SUCCESS, CommitStatus.FAILURE), strict=True):
        judging.open().status(change(), name, state, name, "")
    assert [(status["name"], status["said"]) for status in judging.dialect.statuses] == list(
        zip(names, names, strict=True)
    )


def test_a_status_survives_a_broken_line(judging: Meeting) -> None:
    forge = judging.open()
    judging.server.faults = [Fault("POST", "status", cut=True), Fault("POST", "build", cut=True)]
    forge.status(change(), "mlbutler", CommitStatus.SUCCESS, "Better", "https://ci.example.org/1")
    assert {s["state"].lower() for s in judging.dialect.statuses} in ({"success"}, {"successful"})


# --------------------------------------------------------------------------------------- pictures

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
NAMES = (f"plot-{'0' * 19}1.png", f"plot-{'0' * 19}2.svg")


def attach(meeting: Meeting, names: tuple[str, ...] = NAMES) -> dict[str, str] | None:
    media = {"png": "image/png", "svg": "image/svg+xml"}
    pictures = [PictureFile(name, media[name.rpartition(".")[2]], PNG) for name in names]
    return meeting.open().attach(change(), "mlbutler", pictures, meeting.is_older(HEAD))


def test_pictures_are_uploaded_once_and_found_again(gallery: Meeting) -> None:
    assert attach(gallery) is None  # there is no comment yet
    gallery.post()
    placed = attach(gallery)
    assert placed is not None
    assert list(placed) == list(NAMES)
    assert gallery.dialect.files == dict.fromkeys(NAMES, PNG)
    gallery.post(text=" ".join(f"![a plot]({address})" for address in placed.values()))
    sent = len(gallery.server.requests_of("POST"))
    assert attach(gallery) == placed
    assert len(gallery.server.requests_of("POST")) == sent


def test_an_upload_that_an_error_hid_is_not_repeated(gallery: Meeting) -> None:
    gallery.post()
    gallery.server.faults = [Fault("POST", "assets", after=Answer(500, {"message": "database is locked"}))]
    placed = attach(gallery)
    assert placed is not None
    assert all(placed.values())
    uploads = [seen for seen in gallery.server.requests_of("POST") if seen.path.endswith("/assets")]
    assert len(uploads) == (len(NAMES) if gallery.dialect.kind == "gitea" else 0)


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
