"""Results that are proposed on a branch of their own, in real repositories."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlbutler.commitback.build import Author, CommitBuilder
from mlbutler.commitback.earlier import REPRODUCED
from mlbutler.commitback.propose import propose, withdraw
from mlbutler.git import Git, TreeEntry

Run = Callable[..., str]
NAME = "mlbutler/results/work"


@pytest.fixture
def clone(tmp_path: Path, git: Run) -> Path:
    bare, clone = tmp_path / "bare.git", tmp_path / "clone"
    git(tmp_path, "init", "--bare", "-b", "main", str(bare))
    git(tmp_path, "clone", str(bare), str(clone))
    git(clone, "checkout", "-b", "work")
    git(clone, "commit", "--allow-empty", "-m", "one")
    git(clone, "push", "origin", "work")
    return clone


def results(clone: Path, git: Run, content: str, head: str) -> CommitBuilder:
    (clone / "dvc.lock").write_text(content)
    oid = git(clone, "hash-object", "-w", "dvc.lock")
    files: dict[str, TreeEntry | None] = {"dvc.lock": TreeEntry("100644", oid, "dvc.lock")}
    return CommitBuilder(Git(clone, {}), files, f"Results\n\n{REPRODUCED}: {head}\n", Author("B", "b@example.org"))


def there(clone: Path, git: Run) -> str:
    return git(clone.parent / "bare.git", "for-each-ref", "--format=%(objectname)", f"refs/heads/{NAME}")


def test_one_branch_holds_the_newest_results_on_the_head(clone: Path, git: Run) -> None:
    head = git(clone, "rev-parse", "HEAD")
    first = propose(results(clone, git, "1", head), "origin", "work", head)
    assert (first.name, first.commit) == (NAME, there(clone, git))
    assert git(clone, "rev-parse", f"{first.commit}^") == head
    assert git(clone.parent / "bare.git", "rev-parse", "work") == head
    assert propose(results(clone, git, "1", head), "origin", "work", head) == first  # the same is not pushed again
    git(clone, "commit", "--allow-empty", "-m", "two")
    git(clone, "push", "origin", "work")
    head = git(clone, "rev-parse", "HEAD")
    second = propose(results(clone, git, "2", head), "origin", "work", head)
    assert second.commit == there(clone, git)
    assert git(clone, "rev-parse", f"{second.commit}^") == head


def test_a_branch_that_moved_on_is_left_to_its_own_build(clone: Path, git: Run) -> None:
    head = git(clone, "rev-parse", "HEAD")
    git(clone, "commit", "--allow-empty", "-m", "two")
    git(clone, "push", "origin", "work")
    made = propose(results(clone, git, "1", head), "origin", "work", head)
    assert (made.commit, there(clone, git)) == ("", "")
    assert "moved meanwhile" in made.reason


def test_somebody_s_own_branch_of_that_name_stays(clone: Path, git: Run) -> None:
    head = git(clone, "rev-parse", "HEAD")
    git(clone, "push", "origin", f"HEAD:refs/heads/{NAME}")
    made = propose(results(clone, git, "1", head), "origin", "work", head)
    assert "did not propose" in made.reason
    assert there(clone, git) == head
    assert not withdraw(Git(clone, {}), "origin", "work")
    assert there(clone, git) == head


def test_what_is_proposed_goes_when_nothing_is_left_to_propose(clone: Path, git: Run) -> None:
    head = git(clone, "rev-parse", "HEAD")
    assert not withdraw(Git(clone, {}), "origin", "work")
    propose(results(clone, git, "1", head), "origin", "work", head)
    assert withdraw(Git(clone, {}), "origin", "work")
    assert there(clone, git) == ""


def test_two_builds_at_once_leave_one_of_their_proposals(
    clone: Path, git: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = git(clone, "rev-parse", "HEAD")
    move = Git.move_refs
    raced: list[bool] = []

    def meanwhile(self: Git, *args: Any) -> Any:
        if not raced:
            raced.append(True)
            rival = results(clone, git, "rival", head)
            git(clone, "push", "origin", f"{rival(head)}:refs/heads/{NAME}")
        return move(self, *args)

    monkeypatch.setattr(Git, "move_refs", meanwhile)
    made = propose(results(clone, git, "ours", head), "origin", "work", head)
    assert made.commit == there(clone, git)
    assert git(clone, "show", f"{made.commit}:dvc.lock") == "ours"


def test_a_remote_that_takes_no_such_branch_is_said(clone: Path, git: Run) -> None:
    hook = clone.parent / "bare.git" / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'no branches for robots' >&2\nexit 1\n")
    hook.chmod(0o755)
    head = git(clone, "rev-parse", "HEAD")
    made = propose(results(clone, git, "1", head), "origin", "work", head)
    assert "no branches for robots" in made.reason
