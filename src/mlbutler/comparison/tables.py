"""Read tables row by row: CSV, TSV, JSON lines, Parquet.

Their content is hostile and may be larger than memory.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from mlbutler.comparison.snapshot import Stored
from mlbutler.extras import packages
from mlbutler.frozen import frozen

LONGEST_LINE = 1024 * 1024
"""Characters of the longest line that is read."""

_BATCH = 10_000

Row = tuple[str, ...]


class UnreadableTable(Exception):
    """A table cannot be used; the message says why, fit for a report."""


def read_rows(name: str, stored: Stored, columns: Sequence[str]) -> Iterator[Row]:
    """Yield the values of `columns` of each row, as text; '' where a row has none.

    Args:
        name: the file's name, whose extension decides how it is read.

    Raises:
        Unreadable: the file is missing, is no table, or lacks a column.
    """
    extension = name.rpartition(".")[2].lower()
    reader = _READERS.get(extension)
    if reader is None:
        raise UnreadableTable(f"files of type .{extension[:20]} are not read: CSV, TSV, JSON lines and Parquet are")
    try:
        with stored.open() as stream:
            yield from reader(stream, columns)
    except OSError as error:
        raise UnreadableTable(stored.why() or f"cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UnreadableTable("not UTF-8 text") from None


def count_rows(name: str, stored: Stored) -> int:
    """Return how many rows the table has; Parquet's come from its footer.

    Raises:
        Unreadable: as `read_rows`.
    """
    if name.rpartition(".")[2].lower() == "parquet":
        try:
            with stored.open() as stream:
                return int(_open_parquet(stream).metadata.num_rows)
        except OSError as error:
            raise UnreadableTable(stored.why() or f"cannot be read: {error.strerror or error}") from None
    return sum(1 for _ in read_rows(name, stored, ()))


@frozen
class Shape:
    """A table's columns as (name, type; '' where the format has none), and its rows, None when not counted."""

    columns: tuple[tuple[str, str], ...]
    rows: int | None


def shape(name: str, stored: Stored, most: int) -> Shape:
    """Return a table's columns, and its rows unless counting them means to read more than `most` bytes.

    Raises:
        Unreadable: as `read_rows`.
    """
    extension = name.rpartition(".")[2].lower()
    try:
        with stored.open() as stream:
            if extension == "parquet":
                file = _open_parquet(stream)
                types = zip(file.schema_arrow.names, file.schema_arrow.types, strict=True)
                return Shape(tuple((str(column), str(kind)) for column, kind in types), int(file.metadata.num_rows))
            size = stream.seek(0, io.SEEK_END)
            stream.seek(0)
            first = next(_lines(stream), "")
    except OSError as error:
        raise UnreadableTable(stored.why() or f"cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UnreadableTable("not UTF-8 text") from None
    columns = tuple((column, "") for column in _parse_header(extension, first))
    return Shape(columns, count_rows(name, stored) if size <= most else None)


def _parse_header(extension: str, line: str) -> list[str]:
    if extension in ("csv", "tsv"):
        try:
            return next(csv.reader([line], delimiter="\t" if extension == "tsv" else ","), [])
        except csv.Error as error:
            raise UnreadableTable(f"not valid CSV: {error}") from None
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return []
    return [str(name) for name in row] if isinstance(row, Mapping) else []


def is_table(name: str) -> bool:
    """Return whether rows can be counted in a file of this name."""
    return name.rpartition(".")[2].lower() in _READERS


def _lines(stream: BinaryIO) -> Iterator[str]:
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    while line := text.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE and not line.endswith("\n"):
            raise UnreadableTable(f"a line has more than {LONGEST_LINE:,} characters")
        yield line


def _csv_reader(delimiter: str) -> Callable[[BinaryIO, Sequence[str]], Iterator[Row]]:
    def read(stream: BinaryIO, columns: Sequence[str]) -> Iterator[Row]:
        rows = csv.reader(_lines(stream), delimiter=delimiter)
        try:
            header = next(rows, [])
            places = [_column_index(name, header) for name in columns]
            for row in rows:
                if row:  # the csv module gives blank lines as empty rows
                    yield tuple(row[place] if place < len(row) else "" for place in places)
        except csv.Error as error:
            raise UnreadableTable(f"not valid CSV: {error}") from None

    return read


def _column_index(name: str, header: Sequence[str]) -> int:
    try:
        return header.index(name)
    except ValueError:
        raise _no_column(name, header) from None


def _no_column(name: str, known: Sequence[str]) -> UnreadableTable:
    there = ", ".join(str(column)[:60] for column in known[:12]) or "none"
    return UnreadableTable(f"there is no column '{name}' (there are: {there})")


def _read_json_lines(stream: BinaryIO, columns: Sequence[str]) -> Iterator[Row]:
    first = True
    for number, line in enumerate(_lines(stream), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise UnreadableTable(f"line {number} is not valid JSON") from None
        if not isinstance(row, Mapping):
            raise UnreadableTable(f"line {number} is not a JSON object")
        if first and (missing := [name for name in columns if name not in row]):
            raise _no_column(missing[0], list(row))
        first = False
        yield tuple(_text(row.get(name)) for name in columns)


def _open_parquet(stream: BinaryIO) -> Any:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise UnreadableTable(f"reading Parquet needs pyarrow: pip install {packages('parquet')}") from None
    try:
        return ParquetFile(stream)
    except ArrowException as error:
        raise UnreadableTable(f"not valid Parquet: {' '.join(str(error).split())[:160]}") from None


def _read_parquet_rows(stream: BinaryIO, columns: Sequence[str]) -> Iterator[Row]:
    file = _open_parquet(stream)
    for name in columns:
        if name not in file.schema_arrow.names:
            raise _no_column(name, file.schema_arrow.names)
    from pyarrow import ArrowException

    try:
        for batch in file.iter_batches(batch_size=_BATCH, columns=list(columns)):
            values = [batch.column(name).to_pylist() for name in columns]
            yield from (tuple(map(_text, row)) for row in zip(*values, strict=True))
    except (ArrowException, ValueError) as error:
        raise UnreadableTable(f"not valid Parquet: {' '.join(str(error).split())[:160]}") from None


def _text(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")  # JSON can hold halves of characters


_READERS: dict[str, Callable[[BinaryIO, Sequence[str]], Iterator[Row]]] = {
    "csv": _csv_reader(","),
    "tsv": _csv_reader("\t"),
    "jsonl": _read_json_lines,
    "ndjson": _read_json_lines,
    "parquet": _read_parquet_rows,
}
