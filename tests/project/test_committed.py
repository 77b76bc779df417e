"""The files of a commit, read without libgit2, against those that DVC reads with it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from dvc.fs import GitFileSystem
from dvc.scm import SCM
from scmrepo.exceptions import SCMError

from mlbutler.project.committed import files_at


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Make a commit of files of all kinds, whose objects are packed, and one that are not."""
    _git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "dvc.yaml").write_bytes(b"stages: {}\r\n")
    (tmp_path / "sub" / "deep" / "data.dvc").write_bytes(b"\0\xff")
    (tmp_path / "sub" / "run.sh").write_text("true\n")
    (tmp_path / "sub" / "run.sh").chmod(0o755)
    (tmp_path / "link").symlink_to("sub/run.sh")
    (tmp_path / os.fsdecode(b"caf\xe9")).write_text("no UTF-8")
    (tmp_path / "caf\u00e9").write_text("UTF-8")
    _commit(tmp_path)
    _git(tmp_path, "gc", "-q")
    (tmp_path / "later").write_text("loose")
    _git(tmp_path, "update-index", "--add", "--cacheinfo", f"160000,{_head(tmp_path)},module")
    return tmp_path


def test_the_files_are_those_that_dvc_finds(repository: Path) -> None:
    commit = _commit(repository)
    theirs, ours = _tree(GitFileSystem(scm=SCM(str(repository)), rev=commit)), _tree(_files(repository, commit))
    assert ours == theirs
    assert ours["/dvc.yaml"][1] == b"stages: {}\r\n"
    assert {"/link", "/later", "/module", "/sub/deep/data.dvc"} <= ours.keys()


def test_a_branch_or_tag_with_the_name_of_a_commit_is_not_taken_for_it(repository: Path) -> None:
    before, after = _head(repository), _commit(repository)
    for kind in ("heads", "tags", "remotes/origin"):
        (repository / ".git" / "refs" / kind).mkdir(parents=True, exist_ok=True)
        (repository / ".git" / "refs" / kind / before).write_text(after + "\n")
    assert "/later" not in _tree(_files(repository, before))


@pytest.mark.parametrize("where", ["", "sub/"])
def test_what_a_filter_would_change_is_left_to_dvc(repository: Path, where: str) -> None:
    (repository / f"{where}.gitattributes").write_text("*.sh ident\n")
    (repository / "sub" / "run.sh").write_text("$Id$\n")
    commit = _commit(repository)
    theirs = _tree(GitFileSystem(scm=SCM(str(repository)), rev=commit))
    assert b"$Id: " in (theirs["/sub/run.sh"][1] or b"")
    assert _tree(_files(repository, commit)) == theirs


def test_a_commit_that_is_not_there_is_an_error_of_dvcs(repository: Path) -> None:
    from dvc.exceptions import DvcException
    from dvc.scm import RevError

    with pytest.raises((DvcException, RevError)):
        _ = files_at(SCM(str(repository)), "0" * 40).fs


def test_a_file_whose_object_is_missing_is_an_error_and_no_missing_file(repository: Path) -> None:
    commit = _commit(repository)
    oid = _git(repository, "rev-parse", f"{commit}:later")
    (repository / ".git" / "objects" / oid[:2] / oid[2:]).unlink()
    files = _files(repository, commit)
    with pytest.raises(SCMError, match=f"object {oid} is not in this clone"):
        files.open("/later", "rb")


def _files(repository: Path, commit: str) -> Any:
    return files_at(SCM(str(repository)), commit)


def _tree(files: Any) -> dict[str, tuple[str, bytes | None]]:
    """Return path -> kind and content of all that a file system lists."""
    found = {}
    for folder, _, names in files.walk("/"):
        for name in names:
            path = files.join(folder, name)
            content = None
            if path.isprintable() and name != "module":  # libgit2 waits forever for what it cannot read
                with files.open(path, "rb") as file:
                    content = file.read()
            found[path] = files.info(path)["type"], content
    return found


def _git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def _commit(folder: Path) -> str:
    _git(folder, "add", "--all", "--", ":!module")
    _git(folder, "commit", "-qm", "files")
    return _head(folder)


def _head(folder: Path) -> str:
    return _git(folder, "rev-parse", "HEAD")
