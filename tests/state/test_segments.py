"""The one format on disk: whatever happens to a file, a row is there as it was written or not at all."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlbutler.state.seal import Seal
from mlbutler.state.segments import FOLDER, Segment, remove_all

text = st.text(st.characters(), max_size=6)
values = st.booleans() | st.integers() | text | st.lists(st.integers() | st.none(), max_size=3)
rows = st.dictionaries(text, values, min_size=1, max_size=4)
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def segment(place: Path, **options: Any) -> Segment:
    """As the next process would open it."""
    return Segment(place, "kind", **options)


def fresh(place: Path) -> Segment:
    found = segment(place)
    found.remove()
    return found


@quick
@given(st.lists(rows, max_size=30))
def test_later_rows_replace_earlier_ones(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    written = fresh(tmp_path)
    expected: dict[str, Any] = {}
    for line in lines:
        written.append(line)
        expected |= line
    assert segment(tmp_path).read() == expected


@quick
@given(st.lists(rows, min_size=1, max_size=4), st.integers(0, 10**6), st.binary(max_size=5), rows)
def test_a_torn_tail_takes_no_other_line_with_it(
    tmp_path: Path, lines: list[dict[str, Any]], cut: int, instead: bytes, after: dict[str, Any]
) -> None:
    written = fresh(tmp_path)
    before: dict[str, Any] = {}
    for line in lines[:-1]:
        written.append(line)
        before |= line
    kept = written.file.stat().st_size if lines[:-1] else 0
    written.append(lines[-1])
    content = written.file.read_bytes()
    torn = kept + cut % (len(content) - kept)
    written.file.write_bytes(content[:torn] + instead)
    assert segment(tmp_path).read() in (before, before | lines[-1])
    segment(tmp_path).append(after)
    assert segment(tmp_path).read() in (before | after, before | lines[-1] | after)


@quick
@given(rows, rows, rows, st.lists(st.integers(0, 200), max_size=6))
def test_two_that_write_into_one_another_are_never_misread(
    tmp_path: Path, earlier: dict[str, Any], one: dict[str, Any], other: dict[str, Any], cuts: list[int]
) -> None:
    """Piece by piece, as no file system that appends at once would have it."""
    written = fresh(tmp_path)
    written.append(earlier)
    before = written.file.read_bytes()
    written.append(one)
    first = written.file.read_bytes()[len(before) :]
    written.file.write_bytes(before)
    written.append(other)
    second = written.file.read_bytes()[len(before) :]
    mixed, turn = b"", 0
    for cut in [*cuts, 10**6, 10**6]:
        if turn:
            mixed, second = mixed + second[:cut], second[cut:]
        else:
            mixed, first = mixed + first[:cut], first[cut:]
        turn = 1 - turn
    written.file.write_bytes(before + mixed)
    assert segment(tmp_path).read() in (
        earlier, earlier | one, earlier | other, earlier | one | other, earlier | other | one,
    )  # fmt: skip
    segment(tmp_path).append({"after": 1})
    assert segment(tmp_path).read()["after"] == 1


@quick
@given(st.integers(0, 10**6), st.integers(1, 255))
def test_one_changed_byte_makes_it_no_line(tmp_path: Path, where: int, flip: int) -> None:
    written = fresh(tmp_path)
    written.append({"a": 1})
    content = bytearray(written.file.read_bytes())
    content[where % len(content)] ^= flip
    written.file.write_bytes(bytes(content))
    assert segment(tmp_path).read() in ({}, {"a": 1})


def test_none_removes_a_row(tmp_path: Path) -> None:
    segment(tmp_path).append({"a": 1, "b": 2})
    segment(tmp_path).append({"a": None})
    assert segment(tmp_path).read() == {"b": 2}


def test_after_many_lines_the_file_is_written_anew(tmp_path: Path) -> None:
    for number in range(100):
        one = segment(tmp_path)
        one.read()
        one.append({str(number % 30): number})
    assert segment(tmp_path).read() == {str(number % 30): number for number in range(70, 100)}
    assert len(segment(tmp_path).file.read_bytes().split()) < 50


def test_a_line_counts_in_its_own_file_alone(tmp_path: Path) -> None:
    for other in (Segment(tmp_path, "other kind"), segment(tmp_path, key="other"), segment(tmp_path, seal=Seal("a"))):
        other.append({"a": 1})
        segment(tmp_path).file.parent.mkdir(parents=True, exist_ok=True)
        segment(tmp_path).file.write_bytes(other.file.read_bytes())
        assert segment(tmp_path).read() == {}


@pytest.mark.parametrize("content", [b"", b"\0" * 50, b"\n\n\n", b"[]", b"a b\n", b"\xff" * 64 + b" {}\n"])
def test_what_makes_no_sense_is_passed_over(tmp_path: Path, content: bytes) -> None:
    written = segment(tmp_path)
    written.append({"a": 1})
    written.file.write_bytes(content + written.file.read_bytes() + content)
    assert segment(tmp_path).read() == {"a": 1}


@pytest.mark.parametrize("value", [[], 3, None, "x"])
def test_a_line_of_another_shape_is_none(tmp_path: Path, value: object) -> None:
    """Anybody who knows the format can make a code that needs no secret."""
    written = segment(tmp_path)
    written.append({"a": 1})
    written.file.write_bytes(written._line(value))  # type: ignore[arg-type]
    assert segment(tmp_path).read() == {}
    deep = b"[" * 100_000
    written.file.write_bytes(written._seal.code(written._purpose, deep).encode() + b" " + deep)
    assert segment(tmp_path).read() == {}


def test_files_that_nobody_wrote_to_for_a_month_go(tmp_path: Path) -> None:
    old, new = segment(tmp_path, key="old"), segment(tmp_path, key="new")
    for one in (old, new):
        one.append({"a": 1})
    os.utime(old.file, (time.time() - 40 * 86400,) * 2)
    segment(tmp_path).append({"a": 1})
    assert not old.file.exists()
    assert new.read() == {"a": 1}


def test_what_earlier_versions_remembered_goes_and_is_not_read(tmp_path: Path) -> None:
    for name in ("planned.json", "seen.json", "lacked"):
        (tmp_path / name).write_text(json.dumps({"a": 1}))
    (tmp_path / "whole" / "boot").mkdir(parents=True)
    (tmp_path / "whole" / "boot" / "1").write_text("d41d8cd98f00b204e9800998ecf8427e 1 2 3")
    (tmp_path / "record.json").write_text("{}")
    assert segment(tmp_path).read() == {}
    segment(tmp_path).append({"b": 1})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["record.json", FOLDER]


def test_a_place_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("a file is in the way")
    written = segment(tmp_path)
    written.append({"a": 1})
    assert not written.replace({"a": 1})
    written.remove()
    remove_all(tmp_path, "kind")
    assert written.read() == {}


def test_a_whole_kind_can_be_removed(tmp_path: Path) -> None:
    for key in "abc":
        segment(tmp_path, key=key).append({"a": 1})
    Segment(tmp_path, "other").append({"a": 1})
    remove_all(tmp_path, "kind")
    assert [segment(tmp_path, key=key).read() for key in "abc"] == [{}, {}, {}]
    assert Segment(tmp_path, "other").read() == {"a": 1}
