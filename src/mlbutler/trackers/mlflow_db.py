"""The database that MLflow 3 keeps its runs in where nobody names a server: ``mlflow.db``, a file of SQLite.

The project's code wrote it, so it is read as SQLite's authors advise for files of strangers: as a copy in memory, of
plain tables alone, within bounds of size and work, and nothing that its schema holds is run.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from mlbutler.frozen import frozen
from mlbutler.numbers import as_float
from mlbutler.symlinks import open_plain

NAME = "mlflow.db"
_LARGEST = 128 << 20
_MOST_RUNS, _MOST_METRICS, _LONGEST = 50, 1000, 1000
_STEPS, _CALLS = 100_000, 500
"""What SQLite calls a step of its virtual machine: after so many it asks whether to go on, and so often at most."""
_TABLES = frozenset(("runs", "latest_metrics", "tags"))
_READS = frozenset((sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION))
_INFINITE = 1.7976931348623157e308
"""What MLflow writes for an infinite number."""

_RUNS = """
SELECT run_uuid, name, max(start_time, ifnull(end_time, 0)) AS ended FROM runs
WHERE lifecycle_stage = 'active' AND ended >= ?
AND NOT EXISTS (SELECT 1 FROM tags WHERE tags.run_uuid = runs.run_uuid AND tags.key = 'mlflow.parentRunId')
ORDER BY ended DESC LIMIT ?
"""
_METRICS = "SELECT key, value FROM latest_metrics WHERE run_uuid = ? AND is_nan = 0 ORDER BY key LIMIT ?"


@frozen
class MlflowRun:
    """One run. `when`: seconds since 1970 at its end, or its beginning."""

    id: str
    name: str
    when: float
    metrics: dict[str, float]


def rows(path: Path, since: float) -> list[MlflowRun]:
    """Return the runs that began or ended since then, none where the file is no such database.

    Args:
        since: seconds since 1970.
    """
    content = _read_content(path)
    if content is None:
        return []
    try:
        with closing(sqlite3.connect(":memory:")) as db:
            db.deserialize(content)
            _restrict(db)
            return list(_query_rows(db, since))
    except (sqlite3.Error, UnicodeError, OverflowError, MemoryError):
        return []


def _read_content(path: Path) -> bytes | None:
    """Return the file's content; of one that is being written to what was last written whole, which is no promise."""
    try:
        with open_plain(path) as file:
            if os.fstat(file.fileno()).st_size > _LARGEST:
                return None
            content = bytearray(file.read(_LARGEST))
    except OSError:
        return None
    if len(content) < 100 or not content.startswith(b"SQLite format 3\0"):
        return None
    content[18:20] = b"\x01\x01"  # without a journal of its own beside it, which could not be read from memory
    return bytes(content)


def _restrict(db: sqlite3.Connection) -> None:
    """Have SQLite run nothing but what we ask, and not for long."""
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute("PRAGMA cell_size_check = ON")
    db.execute("PRAGMA temp_store = MEMORY")
    for limit, most in ((sqlite3.SQLITE_LIMIT_LENGTH, 1 << 20), (sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 20),
                        (sqlite3.SQLITE_LIMIT_SQL_LENGTH, 100_000), (sqlite3.SQLITE_LIMIT_ATTACHED, 0)):  # fmt: skip
        db.setlimit(limit, most)
    calls = iter(range(_CALLS))
    db.set_progress_handler(lambda: next(calls, None) is None, _STEPS)
    plain = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0")}
    if not plain >= _TABLES:
        raise sqlite3.DatabaseError("it has not the tables of MLflow's runs")
    db.set_authorizer(_authorize)


def _authorize(action: int, what: str | None, column: str | None, place: str | None, view: str | None) -> int:
    reads = action in _READS and view is None and (action != sqlite3.SQLITE_READ or what in _TABLES)
    return sqlite3.SQLITE_OK if reads else sqlite3.SQLITE_DENY


def _query_rows(db: sqlite3.Connection, since: float) -> Iterator[MlflowRun]:
    for id, name, ended in db.execute(_RUNS, (int(since * 1000), _MOST_RUNS)).fetchall():
        when = as_float(ended)
        if not isinstance(id, str) or when is None:
            continue
        found = db.execute(_METRICS, (id, _MOST_METRICS)).fetchall()
        yield MlflowRun(
            id[:_LONGEST], name[:_LONGEST] if isinstance(name, str) else "", when / 1000, dict(_numbers(found))
        )


def _numbers(found: list[tuple[object, object]]) -> Iterator[tuple[str, float]]:
    for key, value in islice(found, _MOST_METRICS):
        number = as_float(value) if isinstance(value, int | float) else None
        if isinstance(key, str) and len(key) <= _LONGEST and number is not None and abs(number) < _INFINITE:
            yield key, number
