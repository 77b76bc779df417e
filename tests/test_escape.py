"""Text of a pull request as it is shown: nothing in it acts, and nothing of it is unseen."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from markdown_it import MarkdownIt

from mlbutler.escape import escape_invisible, markdown, preformatted
from tests.report.hostile import hostile_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("soft\u00adhyphen", r"soft\xadhyphen"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("fill\u3164er", r"fill\u3164er"),
        ("e\u0301, \u6f22\u5b57, \U0001f389", "e\u0301, \u6f22\u5b57, \U0001f389"),
    ],
)
def test_what_shows_nothing_is_made_visible(text: str, shown: str) -> None:
    assert escape_invisible(text) == shown


@pytest.mark.parametrize("name", ["smile", "100", "+1", "-1", "heart_eyes"])
def test_a_name_between_colons_becomes_no_picture(name: str) -> None:
    assert f":{name}:" not in markdown(f"metrics.json:{name}: no direction is known").replace("&#95;", "_")


def test_a_name_can_be_copied_as_it_is() -> None:
    assert markdown("metrics.json:accuracy: no direction is known").startswith("metrics.json:accuracy")
    assert markdown("metrics.json:accuracy 0.5 -> 0.6") == "metrics.json:accuracy 0.5 -> 0.6"


@settings(max_examples=60, deadline=None)
@given(hostile_text)
@example("=")
@example("-")
@example("1.")
@example("***")
@example("_ _ _")
@example("+\u00a0x")
@example("/merge")
@example("x")
def test_any_text_is_one_paragraph_that_says_that_text(text: str) -> None:
    for before in ("", "- ", "x\n\n"):
        written = f"{before}{markdown(text)}"
        assert "\n" not in written.removeprefix(before)
        parsed = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(written)
        kinds = [token.type for token in parsed if token.type not in ("paragraph_open", "paragraph_close", "inline")]
        assert kinds == (["bullet_list_open", "list_item_open", "list_item_close", "bullet_list_close"]
                         if before == "- " else [])  # fmt: skip
        shown = [child for token in parsed for child in token.children or ()]
        assert {child.type for child in shown} <= {"text", "text_special"}
        said = "".join(child.content for child in shown).removeprefix(before.strip(" -\n")).replace("\u200b", "")
        assert said == escape_invisible(text).replace("\u200b", "").strip()
    assert not markdown(text).startswith("/")


def test_no_line_of_a_log_is_a_command_to_a_bot_that_reads_the_comment() -> None:
    assert preformatted("/merge\n  /close now\na/b") == "&#47;merge\n  &#47;close now\na/b"
