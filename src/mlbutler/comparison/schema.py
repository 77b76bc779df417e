"""Compare rows and columns of tables, where they are in cache or mirror."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from mlbutler.comparison.snapshot import Stored
from mlbutler.comparison.tables import Shape, UnreadableTable, shape
from mlbutler.record import TableChange

_MOST_TABLES = 20
_BUDGET = 128 * 1024 * 1024
"""Bytes that are read in one comparison to count rows: this much takes a second or two."""


class Tables:
    """Compares tables of two sides until the budget is spent."""

    def __init__(self, old: Mapping[str, Stored], new: Mapping[str, Stored]) -> None:
        self._old, self._new = old, new
        self._left, self._tables = _BUDGET, _MOST_TABLES

    def compare(self, names: Iterable[str]) -> tuple[TableChange, ...]:
        """Compare those of the files that are tables, and available on every side that has them."""
        return tuple(change for name in names if (change := self._compare_table(name)) is not None)

    def _compare_table(self, name: str) -> TableChange | None:
        old, new = self._old.get(name), self._new.get(name)
        if (old is None and new is None) or not self._tables:
            return None
        if any(side is not None and _local_path(side) is None for side in (old, new)):
            return None  # somewhere else: nothing is brought for this
        self._tables -= 1
        try:
            before = self._read_shape(name, old) if old is not None else None
            after = self._read_shape(name, new) if new is not None else None
        except UnreadableTable as problem:
            return TableChange(path=name, reason=str(problem))
        large = any(side is not None and side.rows is None for side in (before, after))
        types_before, types_after = dict(before.columns if before else ()), dict(after.columns if after else ())
        both = before is not None and after is not None
        return TableChange(
            path=name,
            old_rows=before.rows if before else None,
            new_rows=after.rows if after else None,
            columns_added=tuple(column for column in types_after if both and column not in types_before),
            columns_removed=tuple(column for column in types_before if both and column not in types_after),
            retyped=tuple(
                (column, types_before[column], kind)
                for column, kind in types_after.items()
                if both and column in types_before and types_before[column] != kind
            ),
            reason="too large: its rows were not counted" if large else "",
        )

    def _read_shape(self, name: str, stored: Stored) -> Shape:
        found = shape(name, stored, self._left)
        if found.rows is not None and not name.lower().endswith(".parquet"):
            place = _local_path(stored)
            self._left -= place.stat().st_size if place is not None else 0
        return found


def _local_path(stored: Stored) -> Path | None:
    return stored.path or (stored.locate() if stored.locate is not None else None)
