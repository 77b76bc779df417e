"""A hash is believed of a path that is exactly what it was when the hash was put there."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mlbutler.state.fingerprint import Fingerprint, fingerprint
from mlbutler.state.hashes import KIND, Hash, HashCache
from mlbutler.state.segments import Segment

MD5 = "md5"
HASH = Hash(MD5, "0" * 32, 3, None)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("abc")
    return tmp_path


def test_a_hash_survives_the_process_and_not_a_change(root: Path) -> None:
    HashCache(root).put({"file": HASH}, {})
    assert HashCache(root).get("file", MD5) == HASH
    assert HashCache(root).unchanged_paths() == {"file"}
    assert HashCache(root).get("file", "md5-dos2unix") is None
    (root / ".dvcignore").write_text("*.tmp\n")
    assert HashCache(root).get("file", MD5) is None  # what DVC ignores may change a directory's hash
    (root / ".dvcignore").unlink()
    (root / "file").write_text("abd")
    assert HashCache(root).get("file", MD5) is None
    assert HashCache(root).changed_paths(["file", "other"]) == ("file",)
    assert HashCache(root).changed_paths([]) == ()
    (root / "file").unlink()
    assert HashCache(root).unchanged_paths() == frozenset()
    assert HashCache(root).changed_paths(["file"]) == ()


def test_a_file_of_a_clock_that_is_ahead_is_not_remembered(root: Path) -> None:
    HashCache(root).put({"file": HASH}, {})
    later = time.time() + 60
    os.utime(root / "file", (later, later))
    HashCache(root).put({"file": HASH}, {})
    assert HashCache(root).get("file", MD5) is None
    assert HashCache(root).fingerprint("file") is None


def test_who_wrote_a_path_knows_its_fingerprint(root: Path) -> None:
    HashCache(root).put({"file": HASH}, {"file": Fingerprint("known", 1.0)})
    assert HashCache(root).fingerprint("file") == "known"
    assert HashCache(root).get("file", MD5) is None
    HashCache(root).put({"file": HASH}, {"file": None})
    now = fingerprint(root, "file")
    assert now is not None
    assert HashCache(root).fingerprint("file") == now.text


@pytest.mark.parametrize("row", [3, None, [], ["md5", "0" * 32], {"a": 1}, [None] * 5, ["md5", "0" * 32, "x", {}, 3]])
def test_a_row_of_another_shape_is_no_hash(root: Path, row: object) -> None:
    Segment(root / ".mlbutler", KIND).append({"file": row})
    assert HashCache(root).get("file", MD5) is None
    assert HashCache(root).unchanged_paths() == frozenset()
