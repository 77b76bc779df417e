"""Stages that were to run and turn out not to have changed: what they make is there for the stages after them."""

from __future__ import annotations

import dataclasses
import functools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from mlbutler.errors import Interrupted
from mlbutler.record import Outcome, ReproduceResult, StageRun
from mlbutler.steps import sync
from mlbutler.steps.context import RunContext
from mlbutler.steps.reproduce import Keeper, run
from tests.steps.test_reproduce import commit, dvc, make, outcomes, planned_context

DVC_YAML = """
stages:
  clean:
    cmd: sh clean.sh
    deps: [clean.sh]
    outs: [clean.txt]
  north:
    cmd: mkdir -p parts && sed s/^/north-/ clean.txt > parts/north.txt
    deps: [clean.txt]
    outs: [parts/north.txt]
  south:
    cmd: mkdir -p parts && echo south > parts/south.txt
    outs: [parts/south.txt]
  join:
    cmd: cat {reads} join.sh > joined.txt
    deps: [{deps}, join.sh]
    outs: [joined.txt]
"""


READS = {"file": ("parts/north.txt", "parts/north.txt"), "folder": ("parts/*", "parts")}


@functools.cache
def template(kind: str) -> tempfile.TemporaryDirectory[str]:
    """Return the author's repository, and the remote beside it, made once."""
    folder = tempfile.TemporaryDirectory(prefix="mlbutler-supply-")
    reads, deps = READS[kind]
    files = {
        "dvc.yaml": DVC_YAML.format(reads=reads, deps=deps),
        "clean.sh": "echo cleaned > clean.txt\n",
        "join.sh": "# one\n",
    }
    author = make(Path(folder.name, "author"), files)
    dvc(author, "remote", "add", "-q", "-d", "origin", "../remote")
    dvc(author, "repro", "-q")
    dvc(author, "push", "-q")
    (author / "clean.sh").write_text("# says the same\n" + files["clean.sh"])
    (author / "join.sh").write_text("# two\n")
    commit(author, "changed")
    return folder


@pytest.fixture(params=READS)
def cloned(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A clone without data in which a comment in `clean.sh` and a line in `join.sh` changed."""
    made = Path(template(request.param).name)
    shutil.copytree(made / "remote", tmp_path / "remote")
    subprocess.run(["git", "clone", "-q", str(made / "author"), str(tmp_path / "clone")], check=True)
    return tmp_path / "clone"


def run_sync(root: Path) -> RunContext:
    context = planned_context(root)
    context.record = dataclasses.replace(context.record, sync=sync.run(context))
    return context


def joined_lines(root: Path) -> list[str]:
    """What was joined, without the script's own line."""
    return [line for line in (root / "joined.txt").read_text().splitlines() if not line.startswith("#")]


def test_it_comes_from_the_remote(cloned: Path) -> None:
    context = run_sync(cloned)
    result = run(context)
    assert result.outcome is Outcome.PASSED, result.reason
    assert outcomes(result) | {"south": "unchanged"} == {
        "clean": "ran", "north": "unchanged", "south": "unchanged", "join": "ran",
    }  # fmt: skip
    assert joined_lines(cloned)[0] == "north-cleaned"
    assert context.record.sync is not None
    assert sum(moved.objects for moved in context.record.sync.moved if moved.place == "origin") >= 1
    dvc(cloned, "pull", "-q", "--allow-missing")
    dvc(cloned, "status", "-q")


def test_it_is_made_after_all_where_no_store_holds_it_and_who_keeps_it_is_told_of_it_too(
    cloned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, keep = list[StageRun](), Keeper.__call__

    def keeping(self: Keeper, run: StageRun) -> None:
        told.append(run)
        keep(self, run)

    monkeypatch.setattr(Keeper, "__call__", keeping)
    context = run_sync(cloned)
    shutil.rmtree(tmp_path / "remote" / "files")
    result = run(context)
    assert result.outcome is Outcome.PASSED, result.reason
    assert outcomes(result)["north"] == outcomes(result)["join"] == "ran"
    assert joined_lines(cloned)[0] == "north-cleaned"
    assert [one.name for one in told if one.outcome == "ran"] == ["clean", "north", "join"]


def test_a_signal_stops_at_once_what_is_being_brought(cloned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unheard: list[bool] = []

    def supply(context: RunContext, paths: Sequence[str]) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
        unheard.append(True)

    context = run_sync(cloned)
    monkeypatch.setattr(sync, "supply", supply)
    with pytest.raises(Interrupted, match="stage 'join'") as stopped:
        run(context)
    assert not unheard
    partial = stopped.value.partial
    assert isinstance(partial, ReproduceResult)
    assert outcomes(partial)["clean"] == "ran"
    assert outcomes(partial)["join"] == "not reached"
