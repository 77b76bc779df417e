"""Who may push to the repository is the forge's word alone, and what it does not say is no."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from mlbutler.errors import ForgeError
from mlbutler.forge.hosted import Hosted
from mlbutler.forge.interface import Comment
from tests.forge.conftest import Meeting, change
from tests.forge.dialects import Gitea, GitHub, GitLab
from tests.forge.fake import SOMEBODY, WRITER, Answer, Fault
from tests.forge.more_dialects import BitbucketServer, DagsHub, Gogs


def leave_comment(meeting: Meeting, author: int, **values: Any) -> tuple[Hosted, Comment]:
    """The forge, and the comment that somebody left there, as it shows it."""
    note = meeting.dialect.add("17", "/mlbutler run", author)
    for name, value in values.items():
        setattr(note, name, value)
    forge = meeting.open()
    assert isinstance(forge, Hosted)
    (comment,) = forge.comments(change())
    return forge, comment


def test_a_writer_may_and_a_reader_may_not(meeting: Meeting) -> None:
    forge, comment = leave_comment(meeting, WRITER)
    assert forge.may_write(comment) is True
    meeting.dialect.notes.clear()
    forge, comment = leave_comment(meeting, SOMEBODY)
    assert forge.may_write(comment) is False


def test_a_stranger_may_not(meeting: Meeting) -> None:
    forge, comment = leave_comment(meeting, 12345)
    assert forge.may_write(comment) is (None if isinstance(meeting.dialect, Gogs) else False)


def test_what_the_token_may_not_ask_is_not_known(guarded: Meeting) -> None:
    guarded.dialect.administers = False
    forge, comment = leave_comment(guarded, WRITER)
    assert forge.may_write(comment) is None


def test_a_comment_without_an_author_is_nobody_s(meeting: Meeting) -> None:
    forge, comment = leave_comment(meeting, WRITER)
    sent = len(meeting.server.seen)
    assert forge.may_write(replace(comment, author="", login="")) is None
    assert len(meeting.server.seen) == sent


def test_a_forge_that_fails_is_no_answer(meeting: Meeting) -> None:
    forge, comment = leave_comment(meeting, WRITER)
    meeting.server.faults = [Fault("GET", "", times=10, answer=Answer(500))]
    with pytest.raises(ForgeError):
        forge.may_write(comment)


@pytest.mark.parametrize("edited", [False, True])
def test_a_comment_that_was_changed_since_is_known(meeting: Meeting, edited: bool) -> None:
    _, comment = leave_comment(meeting, WRITER, edited=edited)
    assert comment.original is not edited


LOGIN_OF_ANOTHER = {
    GitHub: ("/permission", {"permission": "write", "user": {"id": 4711, "login": "user5"}}),
    Gitea: ("/permission", {"permission": "owner", "user": {"id": 4711, "login": "user5"}}),
    GitLab: ("/members/all/", {"id": 4711, "state": "active", "access_level": 50}),
    BitbucketServer: ("/users", {"values": [{"name": "user 50", "active": True}], "isLastPage": True}),
    Gogs: ("/collaborators", [{"id": 4711, "username": "user5", "permissions": {"push": True}}]),
    DagsHub: ("/collaborators", [{"id": 4711, "username": "user5", "permissions": {"push": True}}]),
}


def test_a_login_that_somebody_else_has_now_is_not_its_author_s(named: Meeting) -> None:
    part, answer = LOGIN_OF_ANOTHER[type(named.dialect)]
    forge, comment = leave_comment(named, WRITER)
    named.server.faults = [Fault("GET", part, answer=Answer(200, answer))]
    assert not forge.may_write(comment)


SHAPES: tuple[Any, ...] = (
    {}, [], None, "write", {"permission": None, "user": None}, {"permission": ["write"]}, {"access_level": "50"},
    {"values": {}}, {"values": [None, 7]}, [None, {"permissions": "push"}],
)  # fmt: skip


def test_an_answer_of_another_shape_allows_nothing(meeting: Meeting) -> None:
    forge, comment = leave_comment(meeting, WRITER)
    for shape in SHAPES:
        meeting.server.faults = [Fault("GET", "", times=10, answer=Answer(200, shape))]
        with suppress(ForgeError):  # no JSON at all
            assert not forge.may_write(comment), shape


def test_a_member_of_gitlab_who_is_not_active_may_not(gitlab: Meeting) -> None:
    forge, comment = leave_comment(gitlab, WRITER)
    for field in ({"state": "blocked"}, {"membership_state": "awaiting"}, {"access_level": 20}):
        member = {"id": WRITER, "state": "active", "membership_state": "active", "access_level": 40, **field}
        gitlab.server.faults = [Fault("GET", "/members/", answer=Answer(200, member))]
        assert forge.may_write(comment) is False, field


def test_a_program_s_comment_on_github_is_nobody_s_word(github: Meeting) -> None:
    forge, comment = leave_comment(github, WRITER)
    assert forge.may_write(replace(comment, human=False)) is False
