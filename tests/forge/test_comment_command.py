"""What is a command in a comment, and what is none."""

from __future__ import annotations

import re
import time
from datetime import date

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlbutler.forge.comment_command import (
    Approve,
    Command,
    Malformed,
    Repeat,
    Rerun,
    Verify,
    Waive,
    approval,
    parse_command,
)

HEAD = "0123456789abcdef0123456789abcdef01234567"
WAIVED = "/mlbutler waive metrics.json:accuracy until 2026-12-31 because the new labels are stricter; see #7"


@pytest.mark.parametrize(("text", "command"), [
    ("/mlbutler run", Rerun()),
    ("  /mlbutler   run \r\n", Rerun()),
    ("/mlbutler verify", Verify()),
    ("/mlbutler repeat 5", Repeat(5)),
    ("/mlbutler repeat 200", Repeat(200)),
    (f"/mlbutler approve {HEAD}", Approve(HEAD)),
    (approval("a" * 64), Approve("a" * 64)),
    (WAIVED, Waive("metrics.json:accuracy", date(2026, 12, 31), "the new labels are stricter; see #7")),
    ("/mlbutler waive größe until 2028-02-29 because Größe zählt", Waive("größe", date(2028, 2, 29), "Größe zählt")),
])  # fmt: skip
def test_the_commands_that_there_are(text: str, command: Command) -> None:
    assert parse_command(text) == command


@pytest.mark.parametrize("text", [
    "", "run", "mlbutler run", "/mlbutlerrun", "/mlbutler-run", "/MLBUTLER run", "//mlbutler run",
    f"> /mlbutler approve {HEAD}", f">/mlbutler approve {HEAD}", f"```\n/mlbutler approve {HEAD}\n```",
    f"`/mlbutler approve {HEAD}`", f"    text\n/mlbutler approve {HEAD}", f"Please do not\n\n/mlbutler approve {HEAD}",
    f"<!-- x -->\n/mlbutler approve {HEAD}", f"\\/mlbutler approve {HEAD}", f"\u200b/mlbutler approve {HEAD}",
    f"\ufeff/mlbutler approve {HEAD}", f"\u2044mlbutler approve {HEAD}", f"/mlbut\u04cfer approve {HEAD}",
    f"/mlbutler\u00a0approve {HEAD}", f"/mlbutler\u2028approve {HEAD}", f"/ mlbutler approve {HEAD}",
    "/mlbutler run " + "x" * 1_000_000,
])  # fmt: skip
def test_what_only_looks_like_a_command_is_none(text: str) -> None:
    assert parse_command(text) is None


@pytest.mark.parametrize("text", [
    "/mlbutler", "/mlbutler help", "/mlbutler run now", "/mlbutler run; rm -rf /", "/mlbutler $(run)", "/mlbutler RUN",
    "/mlbutler repeat", "/mlbutler repeat 1", "/mlbutler repeat 201", "/mlbutler repeat 5x", "/mlbutler repeat -5",
    "/mlbutler repeat \u0665", "/mlbutler repeat 5\n/mlbutler run", "/mlbutler approve", "/mlbutler approve main",
    f"/mlbutler approve {HEAD[:12]}", f"/mlbutler approve {HEAD.upper()}", f"/mlbutler approve {HEAD} {HEAD}",
    f"/mlbutler approve {HEAD}\n\nor not", f"/mlbutler approve {HEAD}\u200b", f"/mlbutler approv\u0435 {HEAD}",
    f"/mlbutler approve \u202e{HEAD}", "/mlbutler approve " + "\uff10" * 40,
    "/mlbutler waive accuracy", "/mlbutler waive accuracy until 2026-13-01 because x",
    "/mlbutler waive accuracy until 2026-02-30 because x", "/mlbutler waive accuracy until tomorrow because x",
    "/mlbutler waive accuracy until 2026-12-31", "/mlbutler waive accuracy until 2026-12-31 because ",
    "/mlbutler waive acc\"uracy until 2026-12-31 because x", "/mlbutler waive a b until 2026-12-31 because x",
    "/mlbutler waive accuracy until 2026-12-31 because x\n[[waiver]]\ngate = \"auc\"",
    "/mlbutler waive accuracy until 2026-12-31 because x\x1b[2J",
])  # fmt: skip
def test_what_begins_as_a_command_and_is_none_does_nothing(text: str) -> None:
    assert parse_command(text) == Malformed()


@given(st.text(max_size=80) | st.builds("/mlbutler {}".format, st.text(max_size=80)))
@settings(max_examples=300, deadline=None)
@example("/mlbutler approve " + "\u0661" * 40)
def test_a_comment_of_any_text_is_read_and_approves_nothing_but_a_whole_commit(text: str) -> None:
    command = parse_command(text)
    if isinstance(command, Approve):
        assert re.fullmatch(rf"[ \t\r\n]*/mlbutler +approve +{command.commit}[ \t\r\n]*", text)
    if isinstance(command, Waive):
        assert command.reason.isprintable()
        assert not set(command.metric) & set("\"'`\\\n ")
    if not text.strip(" \t\r\n").startswith("/mlbutler"):
        assert command is None


@given(
    st.text(max_size=30), st.sampled_from([f"/mlbutler approve {HEAD}", "/mlbutler run", WAIVED]), st.text(max_size=9)
)
@settings(max_examples=200, deadline=None)
def test_a_command_with_anything_before_it_is_none(before: str, command: str, after: str) -> None:
    if before.strip(" \t\r\n"):
        assert not isinstance(parse_command(before + command + after), Approve | Rerun | Repeat | Verify | Waive)


def test_a_comment_of_a_megabyte_takes_no_time() -> None:
    began = time.process_time()
    for text in ("/mlbutler waive " + "a" * 10**6, "/mlbutler waive a until " + " " * 10**6, " " * 10**6):
        assert parse_command(text) is None
    assert time.process_time() - began < 1
