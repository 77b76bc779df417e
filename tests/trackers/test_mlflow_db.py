"""MLflow's database in a file, with the tables that MLflow 3.17 makes, and as anybody could write it."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbutler.trackers import mlflow_db
from mlbutler.trackers.offline import find_logged_runs

TABLES = """
CREATE TABLE runs (run_uuid VARCHAR(32) PRIMARY KEY, name VARCHAR(250), start_time BIGINT, end_time BIGINT,
 lifecycle_stage VARCHAR(20));
CREATE TABLE latest_metrics ("key" VARCHAR(250), value FLOAT, is_nan BOOLEAN, run_uuid VARCHAR(32),
 PRIMARY KEY ("key", run_uuid));
CREATE TABLE tags ("key" VARCHAR(250), value VARCHAR(8000), run_uuid VARCHAR(32), PRIMARY KEY ("key", run_uuid));
"""
BARE = """
CREATE TABLE runs (run_uuid, name, start_time, end_time, lifecycle_stage);
CREATE TABLE latest_metrics (key, value, is_nan, run_uuid);
CREATE TABLE tags (key, value, run_uuid);
"""
RUN = """
INSERT INTO runs VALUES ('r', 'one', 1000, 2000, 'active');
INSERT INTO latest_metrics VALUES ('loss', 0.5, 0, 'r');
"""


def content(program: str) -> bytearray:
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(program)
        return bytearray(db.serialize())


def make_database(folder: Path, program: str) -> Path:
    path = folder / mlflow_db.NAME
    path.write_bytes(content(program))
    return path


def test_the_last_numbers_of_runs_are_read_and_those_of_runs_within_a_run_are_not(tmp_path: Path) -> None:
    program = (
        TABLES
        + RUN
        + """
INSERT INTO runs VALUES ('i', 'inner', 1000, 2000, 'active'), ('d', 'deleted', 1000, 2000, 'deleted');
INSERT INTO runs VALUES ('u', NULL, 3000, NULL, 'active');
INSERT INTO latest_metrics VALUES ('odd', 0.0, 1, 'r'), ('val/loss', 2.0, 0, 'r'), ('loss', 9.0, 0, 'i');
INSERT INTO tags VALUES ('mlflow.parentRunId', 'r', 'i'), ('mlflow.user', 'ada', 'r');
"""
    )
    make_database(tmp_path, program)
    unnamed, one = sorted(find_logged_runs(tmp_path, ["", ""], 0, {}), key=lambda each: -each.when)
    assert (one.run.name, one.run.id, one.run.place, one.run.url) == ("one", "r", "mlflow.db", "")
    assert one.metrics == {"loss": 0.5, "val/loss": 2.0}
    assert (unnamed.run.name, unnamed.when, unnamed.metrics) == ("u", 3.0, {})
    assert find_logged_runs(tmp_path, [""], time.time() + 60, {}) == []


def test_what_ended_before_is_of_an_earlier_build(tmp_path: Path) -> None:
    path = make_database(tmp_path, TABLES + RUN)
    assert mlflow_db.rows(path, 2.0) == [mlflow_db.MlflowRun("r", "one", 2.0, {"loss": 0.5})]
    assert mlflow_db.rows(path, 2.1) == []


def test_a_data_base_that_keeps_a_journal_beside_it_is_read_too(tmp_path: Path) -> None:
    held = content(TABLES + RUN)
    held[18:20] = b"\2\2"  # a write-ahead log, as `PRAGMA journal_mode = WAL` notes it
    path = tmp_path / mlflow_db.NAME
    path.write_bytes(held)
    assert [row.metrics for row in mlflow_db.rows(path, 0)] == [{"loss": 0.5}]


_FOREVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT"


@pytest.mark.parametrize("program", [
    "CREATE TABLE runs (a);",
    BARE.replace("TABLE tags (key, value, run_uuid)", f"VIEW tags AS {_FOREVER} i AS key, i AS run_uuid FROM n"),
    BARE.replace("TABLE tags (", "VIRTUAL TABLE tags USING fts5("),
    BARE.replace("TABLE latest_metrics (key, value,", "TABLE latest_metrics (key, value AS (zeroblob(1 << 29)),")
    + "INSERT INTO runs VALUES ('r', 'one', 1000, 2000, 'active');"
    + "INSERT INTO latest_metrics VALUES ('loss', 0, 'r');",
    BARE + "INSERT INTO runs VALUES (x'ff', 1, 'late', NULL, 'active'), (3, NULL, 1e300, 7, 'active');",
    # A join that goes through all pairs would take hours.
    BARE + f"INSERT INTO runs {_FOREVER} i, i, 1, 1, 'active' FROM n LIMIT 3000;"
    + f"INSERT INTO tags {_FOREVER} 'mlflow.parentRunId', i, -1 FROM n LIMIT 30000;",
])  # fmt: skip
def test_what_anybody_could_write_there_is_no_run_and_no_error(
    tmp_path: Path, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_db, "_CALLS", 20)
    assert mlflow_db.rows(make_database(tmp_path, program), 0) == []


def test_numbers_that_are_none_and_names_that_are_no_text_are_passed_over(tmp_path: Path) -> None:
    rows = "('a', 1.7976931348623157e308), ('b', 'x'), (7, 1), (printf('%.2000c', 'n'), 1), ('', 9e999), ('c', 2)"
    program = BARE + RUN + f"INSERT INTO latest_metrics SELECT column1, column2, 0, 'r' FROM (VALUES {rows});"
    assert [row.metrics for row in mlflow_db.rows(make_database(tmp_path, program), 0)] == [{"loss": 0.5, "c": 2.0}]


def test_no_link_and_no_pipe_is_opened(tmp_path: Path) -> None:
    there = make_database(tmp_path, TABLES + RUN).rename(tmp_path / "there")
    link = tmp_path / mlflow_db.NAME
    link.symlink_to(there)
    assert mlflow_db.rows(link, 0) == mlflow_db.rows(tmp_path, 0) == mlflow_db.rows(tmp_path / "none", 0) == []


WHOLE = content(TABLES + RUN)
CHANGES = st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=60)


@settings(max_examples=40, deadline=None)
@given(CHANGES, st.integers(0, len(WHOLE)))
def test_a_damaged_file_is_no_error(tmp_path_factory: pytest.TempPathFactory, changes: Any, cut: int) -> None:
    damaged = bytearray(WHOLE)
    for place, byte in changes:
        damaged[place] = byte
    path = tmp_path_factory.getbasetemp() / "damaged.db"
    path.write_bytes(damaged[:cut] if cut % 2 else damaged)
    mlflow_db.rows(path, 0)
