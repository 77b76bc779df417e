"""What was printed since a time, from the times that stand in a log."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbutler.experiments.log import LogFile
from mlbutler.experiments.log_times import log_since
from mlbutler.verbs.train import Since

BEGAN = datetime(2026, 11, 27, 14, 0, tzinfo=UTC).timestamp()


def write_log(ages: list[float], *, again: bool = False) -> bytes:
    """Return a log of a line at each time, in seconds after its beginning."""
    with tempfile.TemporaryDirectory() as folder:
        path, now = Path(folder, "log"), [0.0]
        with LogFile(path, again=again, now=lambda: BEGAN + now[0]) as file:
            for age in ages:
                now[0] = age
                file.line(f"line at {age}")
        return path.read_bytes()


def test_the_time_stands_before_a_line_that_comes_a_minute_later_and_before_each_further_attempt() -> None:
    assert write_log([1, 59, 61, 62, 130]) == (
        b"line at 1\nline at 59\n[2026-11-27 14:01:01 UTC]\nline at 61\nline at 62\n"
        b"[2026-11-27 14:02:10 UTC]\nline at 130\n"
    )
    assert write_log([1, 2], again=True) == b"[2026-11-27 14:00:01 UTC]\nline at 1\nline at 2\n"


def test_the_time_stands_where_a_log_is_gone_on_with_after_a_kill(tmp_path: Path) -> None:
    for age in (1.0, 5.0):
        with LogFile(tmp_path / "log", now=lambda age=age: BEGAN + age) as file:  # type: ignore[misc]
            file.line(f"line at {age}")
    assert (tmp_path / "log").read_text() == "line at 1.0\n[2026-11-27 14:00:05 UTC]\nline at 5.0\n"


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 1000), max_size=12).map(sorted), st.integers(0, 1000))
def test_no_line_since_then_is_missing_and_none_that_is_a_minute_older_is_there(ages: list[int], asked: int) -> None:
    content = write_log(list(map(float, ages)))
    found = log_since(content, BEGAN + asked)
    assert content.endswith(found)
    for age in ages:
        shown = f"line at {float(age)}\n".encode() in found
        assert shown or age < asked
        assert not shown or age > asked - 60 or not any(age + 60 <= later <= asked for later in ages)


@pytest.mark.parametrize(
    "printed", [b"[1970-01-01 00:00:00 UTC]", b"[2099-01-01 00:00:00 UTC]", b"[2026-02-31 00:00:00 UTC]", b"[\xff UTC]"]
)
def test_times_that_a_program_prints_hide_nothing(printed: bytes) -> None:
    content = b"old\n[2026-11-27 14:01:00 UTC]\nfirst\n" + printed + b"\nlast\n"
    assert log_since(content, BEGAN + 90).startswith(b"[2026-11-27 14:01:00 UTC]\nfirst\n")


@pytest.mark.parametrize(("text", "ago"), [("10m", 600), ("90", 90), ("2h", 7200), (" 1.5h ", 5400)])
def test_a_time_ago_is_what_other_options_take(text: str, ago: float) -> None:
    assert Since().convert(text, None, None) == ago


def test_a_moment_is_in_this_zone_where_it_names_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: BEGAN)
    assert Since().convert("2026-11-27T13:00Z", None, None) == 3600
    assert Since().convert("2026-11-27 15:00:00+02:00", None, None) == 3600
    here = datetime.fromtimestamp(BEGAN - 60)
    assert Since().convert(here.isoformat(), None, None) == 60
    for wrong in ("2026-11-27T14:01Z", "yesterday", "2026-13-01", "0001-01-01", "-5m", ""):
        with pytest.raises(click.BadParameter):
            Since().convert(wrong, None, None)
