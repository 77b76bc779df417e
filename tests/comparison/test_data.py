"""Data that differs: renamed files, and tables' rows and columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbutler.comparison import schema
from mlbutler.comparison.data import compare_data
from mlbutler.comparison.snapshot import ArtifactState, DirectoryEntry, Stored
from mlbutler.record import DataChange


def folder(files: Mapping[str, str], path: str = "data") -> dict[str, ArtifactState]:
    entries = tuple(DirectoryEntry(name, content) for name, content in files.items())
    return {path: ArtifactState(path, str(sorted(files.items())), files=len(files), directory=True, entries=entries)}


def only(old: Mapping[str, str], new: Mapping[str, str]) -> DataChange:
    [change] = compare_data(folder(old), folder(new))
    return change


def test_a_file_with_another_name_is_renamed() -> None:
    change = only({"a/1.png": "x", "b": "y", "c": "z"}, {"d/1.png": "x", "b": "y2", "e": "w"})
    counts = (change.files_added, change.files_removed, change.files_changed, change.files_renamed)
    assert counts == (1, 1, 1, 1)
    assert ("renamed", "a/1.png → d/1.png") in change.examples


def test_of_several_files_alike_each_is_used_once() -> None:
    change = only({"a": "x", "b": "x"}, {"c": "x", "d": "x", "e": "x"})
    assert (change.files_renamed, change.files_added, change.files_removed) == (2, 1, 0)
    assert change.examples[-2:] == (("renamed", "a → c"), ("renamed", "b → d"))


def test_a_whole_artifact_is_renamed() -> None:
    old = {
        "data/raw": ArtifactState("data/raw", "h.dir", size=10, files=2, directory=True),
        "m": ArtifactState("m", "1"),
    }
    new = {
        "data/images": ArtifactState("data/images", "h.dir", size=10, files=2, directory=True),
        "m": ArtifactState("m", "1"),
    }
    [change] = compare_data(old, new)
    assert (change.kind, change.old_path, change.path, change.new_size) == ("renamed", "data/raw", "data/images", 10)


def test_files_are_counted_by_folder() -> None:
    old = {"cat/1": "a", "cat/2": "b", "dog/1": "c", "readme": "r", "dog/deep/1": "e"}
    new = {"cat/1": "a2", "cat/3": "b", "dog/1": "c", "readme": "r2", "fox/1": "d", "fox/2": "f", "fox/x/3": "g"}
    found = [(f.folder, f.added, f.removed, f.changed, f.renamed) for f in only(old, new).folders]
    assert found == [("fox", 3, 0, 0, 0), ("cat", 0, 0, 1, 1), ("", 0, 0, 1, 0), ("dog", 0, 1, 0, 0)]
    assert only({"a/1": "x"}, {"a/1": "y"}).folders == ()  # one folder: the artifact's own line says it


names = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from("xyz"), min_size=1)


@given(names, names)
def test_every_file_is_counted_once(old: dict[str, str], new: dict[str, str]) -> None:
    for change in compare_data(folder(old), folder(new)):
        added, removed, renamed = change.files_added or 0, change.files_removed or 0, change.files_renamed or 0
        assert len(new) - len(old) == added - removed
        assert added + renamed == len(new.keys() - old.keys())
        assert removed + renamed == len(old.keys() - new.keys())


# --------------------------------------------------------------------------------------------- tables


def at_hand(directory: Path, files: Mapping[str, str]) -> dict[str, Stored]:
    stored = {}
    for name, content in files.items():
        path = directory / str(len(list(directory.iterdir())))
        path.write_text(content)
        stored[name] = Stored(locate=lambda path=path: path, identity=content)  # type: ignore[misc]
    return stored


def one(path: str, hash: str) -> dict[str, ArtifactState]:
    return {path: ArtifactState(path, hash)}


def test_rows_and_columns_of_a_table(tmp_path: Path) -> None:
    old = at_hand(tmp_path, {"t.csv": "id,label,old\n1,a,x\n2,b,y\n"})
    new = at_hand(tmp_path, {"t.csv": "id,label,new\n1,a,x\n2,b,y\n3,c,z\n"})
    [change] = compare_data(one("t.csv", "1"), one("t.csv", "2"), old, new)
    [table] = change.tables
    assert (table.old_rows, table.new_rows) == (2, 3)
    assert (table.columns_added, table.columns_removed, table.reason) == (("new",), ("old",), "")


def test_a_table_inside_a_folder_and_one_that_is_new(tmp_path: Path) -> None:
    old = at_hand(tmp_path, {"data/a.jsonl": '{"x": 1}\n'})
    new = at_hand(tmp_path, {"data/a.jsonl": '{"x": 1, "y": 2}\n{"x": 2}\n', "data/b.tsv": "k\tv\n1\t2\n"})
    [change] = compare_data(folder({"a.jsonl": "1"}), folder({"a.jsonl": "2", "b.tsv": "3"}), old, new)
    assert [(t.path, t.old_rows, t.new_rows, t.columns_added) for t in change.tables] == [
        ("data/a.jsonl", 1, 2, ("y",)), ("data/b.tsv", None, 1, ()),
    ]  # fmt: skip


def test_types_of_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    sides = []
    for number, columns in enumerate(({"x": [1, 2], "y": [1.0, 2.0]}, {"x": ["1", "2", "3"], "y": [1.0, 2.0, 3.0]})):
        path = tmp_path / f"{number}.parquet"
        parquet.write_table(pyarrow.table(columns), path)
        sides.append({"t.parquet": Stored(path=path, identity=str(number))})
    [change] = compare_data(one("t.parquet", "1"), one("t.parquet", "2"), *sides)
    [table] = change.tables
    assert (table.old_rows, table.new_rows, table.retyped) == (2, 3, (("x", "int64", "string"),))


def test_what_is_elsewhere_is_not_brought_and_what_is_broken_is_said(tmp_path: Path) -> None:
    nowhere = {"t.csv": Stored(locate=lambda: None, problem="nowhere")}
    new = at_hand(tmp_path, {"t.csv": "a\n1\n"})
    [change] = compare_data(one("t.csv", "1"), one("t.csv", "2"), nowhere, new)
    assert change.tables == ()
    broken = tmp_path / "broken"
    broken.write_bytes(b"\xff\xfe\xff")
    [change] = compare_data(one("t.csv", "1"), one("t.csv", "2"), {"t.csv": Stored(path=broken)}, new)
    assert change.tables[0].reason == "not UTF-8 text"


def test_counting_has_a_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = at_hand(tmp_path, {"d/a.csv": "x\n1\n", "d/b.csv": "x\n1\n"})
    new = at_hand(tmp_path, {"d/a.csv": "x\n1\n2\n", "d/b.csv": "x,y\n" + "1,2\n" * 9})
    monkeypatch.setattr(schema, "_BUDGET", 14)
    [change] = compare_data(
        folder({"a.csv": "1", "b.csv": "1"}, "d"), folder({"a.csv": "2", "b.csv": "2"}, "d"), old, new
    )
    first, second = change.tables
    assert (first.old_rows, first.new_rows, first.reason) == (1, 2, "")
    assert (second.old_rows, second.new_rows) == (1, None)
    assert second.columns_added == ("y",)
    assert "were not counted" in second.reason
