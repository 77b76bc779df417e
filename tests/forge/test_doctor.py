"""`mlbutler doctor --forge` on every forge: what a token may do is tried, and nothing but a status stays."""

from __future__ import annotations

import json
from typing import Any

from mlbutler.commands.doctor.forge import examine_forge
from mlbutler.variables import FORGE_TOKEN
from tests.forge.conftest import Meeting
from tests.forge.fake import HEAD, TOKEN, Answer, Fault, Pull
from tests.forge.run_context import run_context


def examine(meeting: Meeting, **change: Any) -> dict[str, tuple[str, str]]:
    place = meeting.place()
    settings = {"kind": place.kind, "url": place.url, "repository": place.repository, "api": place.api}
    text = "[forge]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items() if value)
    found = list(examine_forge(run_context(meeting.root, HEAD, {FORGE_TOKEN: TOKEN}, text, **change)))
    assert all(item.remedy for item in found if item.state == "missing")
    assert TOKEN not in str(found)
    return {item.subject: (item.state, item.text) for item in found}


def test_a_token_that_may_do_everything_is_ok(meeting: Meeting) -> None:
    found = examine(meeting)
    assert found["forge"][0] == found["token"][0] == found["comment"][0] == "ok"
    assert found["pull request"] == ("ok", "17")
    assert found["status"][0] == ("ok" if meeting.open().capabilities.statuses else "note")
    assert meeting.dialect.notes == []
    assert {status["name"] for status in meeting.dialect.statuses} <= {"mlbutler doctor"}


def test_the_pull_request_of_a_branch_is_found(finding: Meeting) -> None:
    finding.dialect.pulls = [Pull(42, "c" * 40, "work")]
    assert examine(finding, number=None)["pull request"] == ("ok", "42")


def test_a_token_that_may_not_write_is_told_so(meeting: Meeting) -> None:
    meeting.server.faults = [Fault("POST", answer=Answer(403, {"message": "insufficient scope"}), times=9)]
    found = examine(meeting)
    assert found["token"][0] == "ok"
    assert found["comment"][0] == "missing"
    assert "insufficient scope" in found["comment"][1]
    if meeting.open().capabilities.statuses:
        assert found["status"][0] == "missing"


def test_a_fork_tries_nothing(meeting: Meeting) -> None:
    assert examine(meeting, fork=True)["forge"][0] == "note"
    assert meeting.server.seen == []
