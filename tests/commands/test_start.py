"""What a verb is given when it starts: what was looked at ahead, unless another mlbutler worked here meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mlbutler import forked
from mlbutler.commands.start import begin
from mlbutler.commands.step import step
from mlbutler.console import Console
from mlbutler.errors import BusyError
from mlbutler.project import ahead
from tests.store.dvc_world import clone, copy_remote

QUIET = Console(quiet=True)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone that was planned."""
    monkeypatch.setattr(forked, "cores", lambda: 2)
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    monkeypatch.setattr(ahead, "_ahead", {})
    root = clone(tmp_path / "clone", str(copy_remote(tmp_path / "remote")))
    monkeypatch.chdir(root)
    time.sleep(0.06)
    step(root, QUIET, "plan")
    return root


def test_what_was_looked_at_ahead_is_believed_unless_another_worked_here_since(root: Path) -> None:
    for others in (0, 1, 0):
        ahead.look_ahead(root, objects=False)
        for _ in range(others):
            subprocess.run([sys.executable, "-m", "mlbutler", "plan", "--quiet"], cwd=root, check=True, timeout=600)
        with begin(root, QUIET) as work:
            assert (work.ahead is None) is bool(others)
            assert work.look(root, "train.py") is not None
            looked = work.ahead.signatures() if work.ahead is not None else {}
            assert looked == {}  # asked for by the first look


def test_one_that_ends_while_this_one_starts_changes_what_is_believed(root: Path) -> None:
    with begin(root, QUIET):
        ahead.look_ahead(root, objects=False)
        with pytest.raises(BusyError), begin(root, QUIET):
            pass
        ahead.look_ahead(root, objects=False)
        time.sleep(0.02)
        (root / "train.py").write_text("changed while it was locked\n")
    with begin(root, QUIET) as work:
        assert work.ahead is None
        assert work.planned.holds((), ()) is False


def test_a_verb_that_only_watches_leaves_no_stamp(root: Path) -> None:
    before = (root / ".mlbutler" / "lock").stat().st_mtime_ns
    with begin(root, QUIET, watching=True):
        pass
    assert (root / ".mlbutler" / "lock").stat().st_mtime_ns == before
    with begin(root, QUIET):
        at_work = (root / ".mlbutler" / "lock").stat().st_mtime_ns
        time.sleep(0.02)
    assert (root / ".mlbutler" / "lock").stat().st_mtime_ns > at_work


def test_git_works_at_the_project_s_root(root: Path) -> None:
    (root / "sub").mkdir()
    os.chdir(root / "sub")
    with begin(Path(), QUIET) as work:
        assert work.root == root.resolve()
        assert Path.cwd() == root.resolve()
        assert work.git.toplevel() == root.resolve()
        assert work.record.change.author == "Ada"
        assert work.record.change.message == "first"
