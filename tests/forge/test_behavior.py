"""One comment or one for each commit, or none where none is wanted: on every forge."""

from __future__ import annotations

import pytest

from mlbutler.forge.interface import Behavior, Posted
from mlbutler.forge.opening import Opening
from mlbutler.forge.registry import open_forge
from mlbutler.report.marker import parse_marker
from mlbutler.variables import FORGE_TOKEN
from tests.forge.conftest import POLICY, Meeting, body, change
from tests.forge.fake import HEAD, OTHER_HEAD, TOKEN


def post(meeting: Meeting, behavior: Behavior, head: str, text: str, *, create: bool = True) -> Posted:
    opening = Opening(place=meeting.place(), environ={FORGE_TOKEN: TOKEN}, root=meeting.root, policy=POLICY,
                      behavior=behavior)  # fmt: skip
    forge = open_forge(opening)
    return forge.comment(change(head), "mlbutler", body(head, text), meeting.is_older(head), create=create)


@pytest.mark.parametrize("behavior", ["new", "hide-and-new"])
def test_each_commit_has_a_comment_of_its_own_where_that_is_asked_for(meeting: Meeting, behavior: Behavior) -> None:
    meeting.order = (HEAD, OTHER_HEAD)
    post(meeting, behavior, HEAD, "### x\n\n**Worse**: acc\n\na table")
    post(meeting, behavior, OTHER_HEAD, "### x\n\n**Better**: acc\n\na table")
    post(meeting, behavior, OTHER_HEAD, "### x\n\n**Better**: acc\n\nanother table")  # the same commit, built again
    first, second = meeting.ours()
    assert parse_marker(second.body, "mlbutler") == OTHER_HEAD
    assert "another table" in second.body
    assert parse_marker(first.body, "mlbutler") == HEAD
    assert ("a table" in first.body) is (behavior == "new")
    assert "**Worse**: acc" in first.body
    if behavior == "hide-and-new":
        assert "There is [a newer one](http" in first.body
        assert first.body.startswith("**Worse**")
    assert post(meeting, behavior, HEAD, "late").newer == OTHER_HEAD
    assert len(meeting.ours()) == 2


def test_a_comment_that_is_not_wanted_is_not_begun_and_one_that_is_there_kept_up_to_date(meeting: Meeting) -> None:
    assert post(meeting, "update", HEAD, "**Better**", create=False).absent
    assert meeting.ours() == []
    post(meeting, "update", HEAD, "**Worse**")
    assert not post(meeting, "update", HEAD, "**Better**", create=False).absent
    (note,) = meeting.ours()
    assert note.body.startswith("**Better**")
