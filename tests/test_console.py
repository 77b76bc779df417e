from __future__ import annotations

import io
import os
import pty
import select
import sys
import threading
import time
from collections.abc import Callable
from itertools import dropwhile
from operator import itemgetter
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlbutler import console as module
from mlbutler.console import Console, Progress, human_bytes, human_seconds
from mlbutler.secrets import Redactor

SECRET = "planted-5ecret"


def test_json_leaves_standard_output_to_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(json=True, verbose=True)
    console.heading("sync")
    console.line("a line")
    console.detail("a detail")
    console.raw("live\n")
    console.error("an error")
    seen = capsys.readouterr()
    assert seen.out == ""
    assert all(text in seen.err for text in ("sync", "a line", "a detail", "live", "an error"))


def test_quiet_says_errors_alone(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(quiet=True, verbose=True)
    console.heading("sync")
    console.line("a line")
    console.detail("a detail")
    console.raw("live\n")
    with console.progress("bring") as state:
        state.advance(1, 10)
    console.error("an error")
    seen = capsys.readouterr()
    assert (seen.out, seen.err) == ("", "an error\n")


def test_details_need_verbose(capsys: pytest.CaptureFixture[str]) -> None:
    Console().detail("a detail")
    assert capsys.readouterr().out == ""
    Console(verbose=True).detail("a detail")
    assert capsys.readouterr().out == "a detail\n"


def test_secrets_are_hidden_in_everything_that_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(verbose=True, redactor=Redactor((SECRET,)))
    for write in (console.heading, console.line, console.detail, console.error, console.raw):
        write(f"it is {SECRET}")
    seen = capsys.readouterr()
    assert SECRET not in seen.out + seen.err
    assert (seen.out + seen.err).count("[hidden]") == 5


def test_where_nobody_watches_progress_is_a_plain_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PLAIN_INTERVAL", 0.02)
    monkeypatch.setattr(sys, "stdout", written := io.StringIO())
    until = time.monotonic() + 300
    with Console().progress("bring objects", total=3, total_bytes=3072) as state:
        state.advance(2, 2048)
        while written.getvalue().count("bring objects: 2/3, 2.0 KB (") < 2 and time.monotonic() < until:
            time.sleep(0.01)
    lines = written.getvalue().splitlines()
    later = list(dropwhile(lambda line: line.startswith("bring objects: 0/3"), lines))  # before anything was brought
    assert len(later) >= 2
    assert all(line.startswith("bring objects: 2/3, 2.0 KB (") for line in later)


def _read_until(leader: int, text: str) -> str:
    """Read what a terminal shows until the text is there; minutes, against a hang."""
    seen, until = "", time.monotonic() + 300
    while text not in seen and select.select([leader], [], [], max(until - time.monotonic(), 0))[0]:
        seen += os.read(leader, 65536).decode()
    return seen


def test_a_terminal_sees_a_bar_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with Console().progress("bring objects", total=3) as state:
            state.advance(2)
            assert "bring objects: 2/3" in (seen := _read_until(leader, "bring objects: 2/3"))
        assert "\x1b[2K" in seen or "\x1b[2K" in _read_until(leader, "\x1b[2K")  # the line is cleared at the end
    os.close(leader)


def test_an_error_in_the_work_ends_the_progress_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PLAIN_INTERVAL", 0.02)
    monkeypatch.setattr(sys, "stdout", written := io.StringIO())
    with pytest.raises(OSError, match="broken"), Console().progress("bring"):
        raise OSError("broken")
    length = len(written.getvalue())
    time.sleep(0.1)
    assert len(written.getvalue()) == length


class _Clock:
    """A clock that moves only while somebody waits for the end of the work; things happen at their seconds."""

    def __init__(self, *happens: tuple[float, Callable[[], None]], end: float) -> None:
        self.now, self._happens, self._end = 0.0, sorted(happens, key=itemgetter(0)), end

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        until = min(self.now + seconds, self._end)
        while self._happens and self._happens[0][0] <= until:
            self.now, happen = self._happens.pop(0)
            happen()
        self.now = until
        return until == self._end


def test_a_minute_without_a_line_gets_one_and_each_line_begins_a_new_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines: list[tuple[float, str]] = []
    console = Console(json=True)
    says: dict[float, Callable[[], None]] = {
        30: lambda: console.line("a line"),
        100: lambda: console.raw("of a stage\n"),
        130: lambda: console.error("an error"),
    }
    clock = _Clock(*says.items(), end=320)
    monkeypatch.setattr(module, "time", clock)
    console._written = clock.now
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(
        write=lambda text: lines.append((clock.now, text)) if text.strip() else None, flush=lambda: None,
    ))  # fmt: skip
    console._beat("mlbutler test", clock)
    assert [(at, text) for at, text in lines if at not in says] == [
        (90.0, "mlbutler test: still running after 2 min"),
        (190.0, "mlbutler test: still running after 3 min"),
        (250.0, "mlbutler test: still running after 4 min"),
        (310.0, "mlbutler test: still running after 5 min"),
    ]
    assert capsys.readouterr().out == ""


def test_the_line_comes_while_a_verb_works_and_not_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SILENCE", 0.02)
    monkeypatch.setattr(sys, "stderr", written := io.StringIO())
    before = {*threading.enumerate()}
    with pytest.raises(OSError, match="broken"), Console().heartbeat("mlbutler plan"):
        while "mlbutler plan: still running after 0" not in written.getvalue():
            time.sleep(0.01)
        raise OSError("broken")
    assert {*threading.enumerate()} <= before


def test_nobody_who_watches_or_wants_quiet_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {*threading.enumerate()}
    with Console(quiet=True).heartbeat("mlbutler plan"):
        assert {*threading.enumerate()} <= before
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with Console().heartbeat("mlbutler plan"):
            assert {*threading.enumerate()} <= before
    os.close(leader)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KB"), (5 * 1024**3, "5.0 GB"), (3 * 1024**4, "3.0 TB")],
)
def test_bytes_for_people(count: int, text: str) -> None:
    assert human_bytes(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(1.24, "1.2 s"), (90, "2 min"), (3725, "1 h 2 min")])
def test_seconds_for_people(seconds: float, text: str) -> None:
    assert human_seconds(seconds) == text


def test_a_line_of_progress_has_no_total_where_none_is_known() -> None:
    assert Progress("ask", done=4).line() == "ask: 4"


@pytest.mark.parametrize(
    "name", ["\x1b[2K\x1b[1Aall is well", "a\rb", "a\x9b2Jb", "a\u202eb", "\x1b]0;title\x07b", "a\x00b"]
)
def test_names_of_the_project_s_files_steer_no_terminal(capsys: pytest.CaptureFixture[str], name: str) -> None:
    console = Console(verbose=True)
    for say in (console.heading, console.line, console.detail, console.error):
        say(f"missing: {name}\tgrüße 🎉\nsecond line")
    seen = capsys.readouterr()
    said = seen.out + seen.err
    assert not set(said) & set("\x1b\r\x9b\u202e\x00\x07")
    assert said.count("\tgrüße 🎉\nsecond line\n") == 4


def output(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> io.StringIO:
    """Put this in the place of standard output."""
    written = io.StringIO()
    monkeypatch.setattr(written, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "stdout", written)
    return written


@pytest.mark.parametrize(
    ("environ", "terminal", "coloured"),
    [({}, True, True), ({}, False, False), ({"NO_COLOR": "1"}, True, False), ({"TERM": "dumb"}, True, False),
     ({"FORCE_COLOR": "1"}, False, True), ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False)],
)  # fmt: skip
def test_outcomes_have_colours_where_they_are_seen(
    environ: dict[str, str], terminal: bool, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    written = output(monkeypatch, terminal=terminal)
    console = Console()
    console.heading("test")
    console.line("test: failed: 2 failed", "failed")
    console.line("a plain line")
    plain = "\n== test\ntest: failed: 2 failed\na plain line\n"
    styled = "\n== \x1b[1mtest\x1b[0m\ntest: \x1b[1;31mfailed\x1b[0m: 2 failed\na plain line\n"
    assert written.getvalue() == (styled if coloured else plain)


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_a_step_stands_on_a_terminal_until_it_ends_or_says_something(
    term: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", term)
    written = output(monkeypatch, terminal=True)
    console = Console()
    console.step("sync: bring data")
    console.end_step("sync: passed: nothing to bring", "passed")
    console.step("plan: what is stale")
    console.raw("a stage\n")
    console.end_step("plan: passed", "passed")
    sync, plan = ("sync: bring data …\r\x1b[K", "plan: what is stale …\r\x1b[K") if term == "xterm" else ("", "")
    said = "\n== plan: what is stale\na stage\nplan: passed\n"
    assert written.getvalue() == f"{sync}sync: passed: nothing to bring\n{plan}{said}"


def test_colours_of_the_project_s_own_are_dropped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    Console().line("lint: passed: \x1b[31mred\x1b[0m", "passed")
    assert capsys.readouterr().out == "lint: \x1b[32mpassed\x1b[0m: red\n"


def test_a_file_s_path_is_a_link_on_a_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    page, written = tmp_path / "a b\x1b[31m.html", io.StringIO()
    monkeypatch.setattr(sys, "stdout", written)
    Console().path("report", page, "a b\x1b[31m.html")
    assert written.getvalue() == "report: a b.html\n"
    written.truncate(0)
    written.seek(0)
    monkeypatch.setattr(written, "isatty", lambda: True)
    Console().path("report", page, "a b\x1b[31m.html")
    assert written.getvalue() == f"report: \x1b]8;;{page.as_uri()}\x1b\\a b.html\x1b]8;;\x1b\\\n"
    assert "%1B" in page.as_uri()


@pytest.mark.parametrize("opens", [True, False])
def test_a_page_is_opened_where_there_is_a_browser(
    opens: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    opened: list[str] = []

    def open_page(address: str) -> bool:
        opened.append(address)
        return opens

    monkeypatch.setattr("webbrowser.open", open_page)
    Console().open(tmp_path / "report.html")
    assert opened == [(tmp_path / "report.html").as_uri()]
    assert ("no browser here" in capsys.readouterr().out) is not opens
