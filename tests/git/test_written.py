"""Objects that are written at once are those that Git's own commands would have written."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mlbutler.errors import GitError
from mlbutler.git import Git, TreeEntry
from mlbutler.git.written import FOLDER, NewObjects
from tests.conftest import GitCommand

AUTHOR = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER")
          for key, value in (("NAME", "Ada"), ("EMAIL", "ada@example.org"))}  # fmt: skip
DATE = "1700000000 +0200"
CONTENTS = (b"", b"x", b"0123456789abcde", b"0123456789abcdef", bytes(range(256)) * 10, b"long\n" * 500_000)


@pytest.mark.parametrize("kind", ["sha1", "sha256"])
def test_they_are_what_git_s_own_commands_write(tmp_path: Path, git: GitCommand, kind: str) -> None:
    git(tmp_path, "init", "-q", f"--object-format={kind}")
    for number, content in enumerate(CONTENTS):
        for name in (f"{number}", f"a.{number}", f"é a/{number}", f"a/{number}"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(content)
    (tmp_path / "0").chmod(0o755)
    git(tmp_path, "add", "-A")
    wanted = git(tmp_path, "write-tree")
    environ = os.environ | AUTHOR | {"GIT_AUTHOR_DATE": DATE, "GIT_COMMITTER_DATE": DATE}

    def commit(*words: str) -> str:
        command = ["git", "commit-tree", wanted, *words, "-m", "one\n\ntwo é"]
        return subprocess.check_output(command, cwd=tmp_path, env=environ, text=True).strip()

    first, second = commit(), git(tmp_path, "commit-tree", wanted, "-m", "x")
    both = commit("-p", first, "-p", second)
    (empty := tmp_path / "empty").mkdir()
    git(empty, "init", "-q", f"--object-format={kind}")
    new = NewObjects(wanted)
    blobs = [new.blob(content) for content in CONTENTS]
    below = new.tree(TreeEntry("100644", blob, f"{number}") for number, blob in enumerate(blobs))
    files = [TreeEntry("100755" if not number and not start else "100644", blob, f"{start}{number}")
             for start in ("", "a.") for number, blob in enumerate(blobs)]  # fmt: skip
    tree = new.tree([TreeEntry(FOLDER, below, "é a"), TreeEntry(FOLDER, below, "a"), *files])
    assert tree == wanted
    assert new.commit(tree, [], "one\n\ntwo é", AUTHOR, DATE) == first
    new.write(Git(empty))
    git(empty, "fsck", "--strict")
    assert git(empty, "ls-tree", "-r", first) == git(tmp_path, "ls-tree", "-r", first)
    assert git(empty, "cat-file", "commit", first) == git(tmp_path, "cat-file", "commit", first)
    assert new.commit(tree, [first, second], "one\n\ntwo é", AUTHOR, DATE) == both
    new.write(Git(tmp_path))


def test_what_names_an_object_that_is_not_there_is_not_written(tmp_path: Path, git: GitCommand) -> None:
    git(tmp_path, "init", "-q")
    for kind in ("commit", "tree"):
        new, missing = NewObjects("0" * 40), "1" * 40
        if kind == "commit":
            new.commit(new.tree([]), [missing], "x", AUTHOR, DATE)
        else:
            new.tree([TreeEntry("100644", missing, "a")])
        with pytest.raises(GitError, match="unpack-objects"):
            new.write(Git(tmp_path))
        assert "missing" not in git(tmp_path, "fsck")
