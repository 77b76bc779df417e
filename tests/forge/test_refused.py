"""`publish` where a forge refuses the comment: the status still tells the verdict, and a shorter comment is tried."""

from __future__ import annotations

import dataclasses
import json

import pytest

from mlbutler.forge.http import RequestRefused
from mlbutler.record import CompareResult, Outcome, PublishResult
from mlbutler.steps import publish
from mlbutler.steps.context import RunContext
from mlbutler.variables import FORGE_TOKEN
from tests.conftest import GitCommand
from tests.forge.conftest import Meeting
from tests.forge.fake import TOKEN, Answer, Fault, Seen
from tests.forge.run_context import run_context
from tests.forge.test_limits import large


def job(meeting: Meeting, git: GitCommand) -> RunContext:
    """A run whose report goes to the meeting's forge; it is larger than what any server of these tests takes."""
    root, place = meeting.root, meeting.place()
    git(root, "init", "-q")
    git(root, "commit", "-q", "--allow-empty", "-m", "one")
    settings = {"kind": place.kind, "url": place.url, "repository": place.repository, "api": place.api}
    text = "[forge]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items() if value)
    made = run_context(root, git(root, "rev-parse", "HEAD"), {FORGE_TOKEN: TOKEN}, text)
    compare = large(rows=40).compare
    assert isinstance(compare, CompareResult)
    made.record = dataclasses.replace(made.record, compare=compare)
    return made


@pytest.mark.parametrize(("status", "said"), [(403, "insufficient scope"), (422, "locked"), (400, "no")])
def test_the_status_is_set_though_the_comment_is_refused(
    meeting: Meeting, git: GitCommand, status: int, said: str
) -> None:
    meeting.server.faults = [Fault("POST", "/comments", answer=Answer(status, {"message": said})),
                             Fault("POST", "/notes", answer=Answer(status, {"message": said}))]  # fmt: skip
    with pytest.raises(RequestRefused, match=said) as caught:
        publish.run(job(meeting, git))
    assert meeting.dialect.notes == []
    result = caught.value.partial
    if meeting.open().capabilities.statuses:
        (set_,) = meeting.dialect.statuses
        assert set_["state"].lower() in ("failure", "failed")
        assert set_["said"].startswith("Worse: accuracy 0.9 -> 0.8")
        assert isinstance(result, PublishResult)
        assert result.status
        assert said in result.reason
        assert result.outcome is Outcome.ERROR


@pytest.mark.parametrize("limit", [20_000, 3_000])
def test_a_server_that_takes_less_than_others_gets_a_shorter_comment(
    meeting: Meeting, git: GitCommand, limit: int
) -> None:
    answer = meeting.dialect.answer

    def strict(seen: Seen) -> Answer:
        if seen.method in ("POST", "PUT", "PATCH") and len(seen.body) > limit:
            return Answer(413) if limit < 10_000 else Answer(422, {"message": "Body is too long (maximum is less)"})
        return answer(seen)

    meeting.dialect.answer = strict  # type: ignore[method-assign]
    assert publish.run(job(meeting, git)).outcome is Outcome.PASSED
    (note,) = meeting.ours()
    assert "\n**Worse**: accuracy 0.9 -> 0.8" in note.body
    assert "Dropped to fit here: " in note.body


def test_a_comment_that_cannot_be_shorter_is_refused_in_the_end(meeting: Meeting, git: GitCommand) -> None:
    meeting.server.faults = [Fault("POST", part, answer=Answer(413), times=99) for part in ("/comments", "/notes")]
    with pytest.raises(RequestRefused, match="413"):
        publish.run(job(meeting, git))
    assert 1 < len(meeting.server.requests_of("POST")) < 20
