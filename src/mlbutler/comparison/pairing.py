"""Pair the examples of two predictions files by their ids, in a temporary database on disk.

Both files may be larger than memory and in any order; what SQLite holds of them in memory is bounded.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from mlbutler.comparison.snapshot import Stored
from mlbutler.comparison.tables import UnreadableTable, read_rows
from mlbutler.settings import Predictions

MOST_EXAMPLES = 5_000_000
_MEMORY = 64 * 1024  # KiB of SQLite's page cache


class Pair(NamedTuple):
    """One example on both sides; everything as the files' text. `extra` are the new side's slices and image."""

    place: int
    id: str
    label: str
    old_label: str
    old: str
    new: str
    old_score: str
    new_score: str
    extra: tuple[str, ...]


class Pairing:
    """Both files, loaded; see `pairing`."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def _number(self, query: str) -> int:
        return int(self._database.execute(query).fetchone()[0])

    def counts(self) -> tuple[int, int, int]:
        """Return how many examples are on both sides, only in the target, only here."""
        both = self._number("SELECT count(*) FROM new CROSS JOIN old ON old.id = new.id")
        return (both, self._number("SELECT count(*) FROM old") - both, self._number("SELECT count(*) FROM new") - both)

    def pairs(self) -> Iterator[Pair]:
        """Yield every example that is on both sides, in the order of the new file."""
        query = "SELECT new.*, old.label, old.prediction, old.score FROM new CROSS JOIN old ON old.id = new.id"
        for place, id_, label, new, new_score, *extra, old_label, old, old_score in self._database.execute(query):
            yield Pair(place, id_, label, old_label, old, new, old_score, new_score, tuple(extra))


@contextmanager
def pairing(spec: Predictions, old: Stored, new: Stored) -> Iterator[Pairing]:
    """Load both files.

    Raises:
        Unreadable: a file cannot be used, an id occurs twice, or there are more than `MOST_EXAMPLES`.
    """
    extra = [*spec.slices, *([spec.image] if spec.image else [])]
    database = sqlite3.connect("")  # a private temporary file, gone when closed
    try:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_MEMORY}", "temp_store = FILE"):
            database.execute(f"PRAGMA {pragma}")
        fields = "label TEXT, prediction TEXT, score TEXT"
        more = "".join(f", extra{number} TEXT" for number in range(len(extra)))
        database.execute(f"CREATE TABLE old (id TEXT PRIMARY KEY, {fields}) WITHOUT ROWID")
        database.execute(f"CREATE TABLE new (place INTEGER PRIMARY KEY, id TEXT UNIQUE, {fields}{more})")
        _load(database, "old", spec, old, ())
        _load(database, "new", spec, new, extra)
        yield Pairing(database)
    except sqlite3.OperationalError as error:
        raise UnreadableTable(f"no room to compare it: {error}") from None
    finally:
        database.close()


def _load(database: sqlite3.Connection, table: str, spec: Predictions, stored: Stored, extra: Sequence[str]) -> None:
    side = "in the target" if table == "old" else "here"
    columns = [spec.label, spec.prediction, *([spec.score] if spec.score else []), *extra]
    if spec.id is not None:
        columns = [spec.id, *columns]
    last = ""

    def rows() -> Iterator[tuple[object, ...]]:
        nonlocal last
        for number, row in enumerate(read_rows(spec.file, stored, columns), 1):
            if number > MOST_EXAMPLES:
                raise UnreadableTable(f"more than {MOST_EXAMPLES:,} examples")
            last, *values = row if spec.id is not None else (str(number), *row)
            if not spec.score:
                values.insert(2, "")
            yield (last, *values) if table == "old" else (number, last, *values)

    marks = ", ".join("?" * (4 if table == "old" else 5 + len(extra)))
    try:
        database.executemany(f"INSERT INTO {table} VALUES ({marks})", rows())
    except sqlite3.IntegrityError:
        raise UnreadableTable(f"{side}: the id '{last[:100]}' occurs more than once") from None
    except UnreadableTable as error:
        raise UnreadableTable(f"{side}: {error}") from None


def same_text(one: str, other: str) -> bool:
    """Return whether two labels are the same: as text, or as numbers (``1`` and ``1.0``)."""
    if one == other or one.strip() == other.strip():
        return True
    number = as_number(one)
    return number is not None and number == as_number(other)


def as_number(text: str) -> float | None:
    """Return a finite number, None for everything else."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
