from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mlbutler.errors import UsageError
from mlbutler.git import Git
from mlbutler.scaffold.changes import Action, FileChange, decide_change, merge

OLD = "one\ntwo\nthree\nfour\nfive\nsix\n"


def decide(root: Path, there: str | None, new: str, before: str | None) -> FileChange:
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    if there is not None:
        (root / "file").write_text(there)
    return decide_change("file", root, new, before, merge(Git(root, {"PATH": "/usr/bin:/bin"})))


@pytest.mark.parametrize(("there", "new", "before", "action", "text"), [
    (None, OLD, None, Action.CREATE, OLD),
    (OLD, OLD, None, Action.UNCHANGED, OLD),
    ("mine\n", OLD, None, Action.REPLACE, OLD),
    (OLD, OLD + "seven\n", OLD, Action.MERGE, OLD + "seven\n"),
    ("mine\n" + OLD, OLD, OLD, Action.UNCHANGED, "mine\n" + OLD),
    ("mine\n" + OLD, OLD + "seven\n", OLD, Action.MERGE, "mine\n" + OLD + "seven\n"),
    (OLD + "seven\n", OLD + "seven\n", OLD, Action.UNCHANGED, OLD + "seven\n"),
    (None, OLD, OLD, Action.CREATE, OLD),
])  # fmt: skip
def test_what_becomes_of_a_file(
    tmp_path: Path, there: str | None, new: str, before: str | None, action: Action, text: str
) -> None:
    change = decide(tmp_path, there, new, before)
    assert (change.action, change.new, change.old) == (action, text, there)


def test_edits_of_the_same_lines_are_a_conflict(tmp_path: Path) -> None:
    change = decide(tmp_path, OLD.replace("two", "my two"), OLD.replace("two", "new two"), OLD)
    assert change.action is Action.CONFLICT
    sides = "<<<<<<< yours\nmy two\n||||||| generated before\ntwo\n=======\nnew two\n>>>>>>> generated now\n"
    assert sides in change.new


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8 text"):
        decide(tmp_path, None, OLD, None)


def test_the_diff_of_a_new_file(tmp_path: Path) -> None:
    assert decide(tmp_path, None, "a\n", None).diff() == "--- /dev/null\n+++ b/file\n@@ -0,0 +1 @@\n+a"
