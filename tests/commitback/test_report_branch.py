"""Reports on a branch of their own, in real repositories."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlbutler.commitback.build import Author
from mlbutler.commitback.report_branch import REPORTED, ReportBranch, prune
from mlbutler.errors import GitError
from mlbutler.git import Git

Run = Callable[..., str]
OLD, NEW = "1" * 40, "2" * 40
NAME = "mlbutler/report-7"
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def never(_: str) -> bool:
    return False


@pytest.fixture
def bare(tmp_path: Path, git: Run) -> Path:
    bare = tmp_path / "bare.git"
    git(tmp_path, "init", "--bare", "-b", "main", str(bare))
    git(tmp_path, "clone", str(bare), str(tmp_path / "clone"))
    git(tmp_path / "clone", "commit", "--allow-empty", "-m", "one")
    git(tmp_path / "clone", "push", "origin", "HEAD:main")
    return bare


@pytest.fixture
def branch(bare: Path) -> ReportBranch:
    return ReportBranch(Git(bare.parent / "clone", {}), "origin", NAME, Author("Butler", "butler@example.org"))


def test_the_files_are_there_and_nothing_of_the_project(bare: Path, branch: ReportBranch, git: Run) -> None:
    assert branch.publish("mlbutler", {"README.md": "größer\n".encode(), "plot.png": b"\0\1"}, OLD, never).newer == ""
    assert git(bare, "ls-tree", "-r", "--name-only", NAME).split() == ["mlbutler/README.md", "mlbutler/plot.png"]
    assert git(bare, "show", f"{NAME}:mlbutler/README.md") == "größer"
    assert git(bare, "log", "--format=%an %P", NAME) == "Butler"
    assert git(bare.parent / "clone", "status", "--porcelain") == ""


def test_a_later_report_replaces_its_own_files_on_top(bare: Path, branch: ReportBranch, git: Run) -> None:
    branch.publish("one", {"README.md": b"old", "gone.png": b"x"}, OLD, never)
    branch.publish("two", {"README.md": b"other"}, OLD, never)
    branch.publish("one", {"README.md": b"new"}, NEW, never)
    assert git(bare, "ls-tree", "-r", "--name-only", NAME).split() == ["one/README.md", "two/README.md"]
    assert git(bare, "show", f"{NAME}:one/README.md") == "new"
    assert git(bare, "rev-list", "--count", NAME) == "3"


def test_a_newer_commits_report_stays_whoever_wrote_last(bare: Path, branch: ReportBranch, git: Run) -> None:
    branch.publish("one", {"README.md": b"new"}, NEW, never)
    branch.publish("two", {"README.md": b"other"}, OLD, never)
    assert branch.publish("one", {"README.md": b"old"}, OLD, lambda other: other == NEW).newer == NEW
    assert git(bare, "show", f"{NAME}:one/README.md") == "new"


def test_two_builds_at_once_lose_neither_report(bare: Path, branch: ReportBranch, git: Run, tmp_path: Path) -> None:
    git(tmp_path, "clone", str(bare), str(tmp_path / "other"))
    rival = ReportBranch(Git(tmp_path / "other", {}), "origin", NAME, branch.author)
    branch.publish("first", {"README.md": b"1"}, OLD, never)

    def meanwhile(_: str) -> bool:
        if not git(bare, "ls-tree", NAME, "rival"):
            rival.publish("rival", {"README.md": b"2"}, OLD, never)
        return False

    branch.publish("first", {"README.md": b"3"}, NEW, meanwhile)
    assert git(bare, "show", f"{NAME}:first/README.md") == "3"
    assert git(bare, "show", f"{NAME}:rival/README.md") == "2"


def test_a_remote_that_takes_no_branch_is_said(bare: Path, branch: ReportBranch) -> None:
    hook = bare / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'no branches for robots' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(GitError, match="no branches for robots") as caught:
        branch.publish("one", {"README.md": b"x"}, OLD, never)
    assert "create branches" in caught.value.remedy


@pytest.mark.parametrize("moved", [False, True])
def test_branches_of_reports_that_are_too_old_go_and_others_stay(
    bare: Path, branch: ReportBranch, git: Run, moved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def commit(name: str, day: int, text: str = f"Report\n\n{REPORTED}: {OLD}\n") -> None:
        when = f"2026-01-{day:02}T00:00:00Z"
        monkeypatch.setenv("GIT_COMMITTER_DATE", when)
        made = git(bare, "commit-tree", EMPTY_TREE, "-m", text)
        git(bare, "update-ref", f"refs/heads/{name}", made)

    for name, day in (("mlbutler/report-1", 2), ("mlbutler/report-2", 9), (NAME, 1)):
        commit(name, day)
    commit("mlbutler/report-of-ours", 1, "somebody's own branch")
    asked = Git.move_refs

    def meanwhile(*args: Any) -> Any:
        if moved:
            commit("mlbutler/report-1", 20)
        return asked(*args)

    monkeypatch.setattr(Git, "move_refs", meanwhile)
    fifth = datetime(2026, 1, 5, tzinfo=UTC).timestamp()
    gone = prune(branch.git, "origin", "mlbutler/report-", fifth, NAME)
    left = set(git(bare, "for-each-ref", "--format=%(refname:lstrip=2)").split()) - {"main"}
    stay = {"mlbutler/report-2", NAME, "mlbutler/report-of-ours"}
    assert (gone, left) == (((), {*stay, "mlbutler/report-1"}) if moved else (("mlbutler/report-1",), stay))
