from __future__ import annotations

from mlbutler.forge.answers import text


def test_half_a_character_of_an_answer_can_be_sent_again() -> None:
    assert text({"user": {"login": "a\ud800b"}}, "user.login") == "a?b"
