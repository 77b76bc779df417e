"""Tables row by row, whole and broken."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbutler.comparison.snapshot import Stored
from mlbutler.comparison.tables import LONGEST_LINE, UnreadableTable, count_rows, read_rows, shape

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=20)


def rows(name: str, content: bytes, *columns: str) -> list[tuple[str, ...]]:
    return list(read_rows(name, Stored(content=content), columns))


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1))
def test_csv_comes_back_as_it_was_written(values: list[tuple[str, str]]) -> None:
    stream = io.StringIO()
    csv.writer(stream).writerows([("a", "b"), *values])
    assert rows("x.csv", stream.getvalue().encode(), "b", "a") == [(b, a) for a, b in values]


@given(st.lists(st.fixed_dictionaries({"a": TEXT | st.integers() | st.booleans() | st.none(), "b": TEXT}), min_size=1))
def test_json_lines_come_back_as_text(values: list[dict[str, object]]) -> None:
    content = "\n".join(json.dumps(value) for value in values).encode()
    as_text = [v if isinstance(v, str) else "" if v is None else json.dumps(v) for v in (x["a"] for x in values)]
    assert rows("x.jsonl", content, "a") == [(text,) for text in as_text]


def test_parquet_comes_back_and_is_counted_from_its_footer(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"id": [1, 2, None], "said": ["x", "é", "z"]}), tmp_path / "x.parquet")
    stored = Stored(path=tmp_path / "x.parquet")
    assert list(read_rows("x.parquet", stored, ("said", "id"))) == [("x", "1"), ("é", "2"), ("z", "")]
    assert count_rows("x.parquet", stored) == 3
    with pytest.raises(UnreadableTable, match="no column 'label'"):
        list(read_rows("x.parquet", stored, ("label",)))


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("x.csv", b"a,b\n1,2\n", r"no column 'id' \(there are: a, b\)"),
        ("x.csv", b"", "there are: none"),
        ("x.csv", b"id\n\xff\n", "not UTF-8"),
        ("x.csv", b"id\n" + b"x" * (LONGEST_LINE + 1), "a line has more than"),
        ("x.csv", b'id\n"' + b"x\n" * 100_000, "not valid CSV"),
        ("x.jsonl", b'{"id": 1}\nnothing\n', "line 2 is not valid JSON"),
        ("x.jsonl", b"[1]\n", "line 1 is not a JSON object"),
        ("x.jsonl", b"[" * 100_000 + b"\n", "line 1 is not valid JSON"),
        ("x.parquet", b"PAR1nothing", "not valid Parquet"),
        ("x.pickle", b"", "files of type .pickle are not read"),
    ],
)
def test_what_cannot_be_read_says_why(name: str, content: bytes, why: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    with pytest.raises(UnreadableTable, match=why):
        rows(name, content, "id")


def test_a_header_that_is_no_csv_says_so_too() -> None:
    with pytest.raises(UnreadableTable, match="not valid CSV"):
        shape("x.csv", Stored(content=b"x" * 200_000 + b"\n1\n"), 10**6)


def test_halves_of_characters_do_not_get_through() -> None:
    assert rows("x.jsonl", b'{"id": "\\ud800"}', "id") == [("\\ud800",)]


def test_a_missing_file_says_so() -> None:
    with pytest.raises(UnreadableTable, match="in neither cache"):
        list(read_rows("x.csv", Stored(problem="in neither cache, mirror nor remote"), ("id",)))


def test_rows_are_counted() -> None:
    assert count_rows("x.csv", Stored(content=b'a,b\n1,"two\nlines"\n\n3,4\n')) == 2
