"""Imports: no remote of the project holds them, DVC brings them from their source."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mlbutler.commands.step import step
from mlbutler.console import Console
from mlbutler.record import Outcome, StageState
from mlbutler.steps import plan, sync
from mlbutler.steps.context import RunContext
from tests.store.dvc_world import clone, commit, copy_remote, dvc, status, template


def test_an_import_is_brought_from_its_source(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    working_state: Callable[..., RunContext],
) -> None:
    author = clone(tmp_path / "author", str(copy_remote(tmp_path / "storage")))
    dvc(author, "import", "-q", str(template().repo), "model.txt", "-o", "imported.txt")
    for name in ("model.txt.dvc", "data.dvc", "dvc.yaml", "dvc.lock"):
        (author / name).unlink(missing_ok=True)
    commit(author, "import")
    root = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(author), str(root)], check=True)
    (root / ".dvc" / "config.local").write_text(f"['remote \"origin\"']\n    url = {tmp_path / 'empty'}\n")
    monkeypatch.chdir(root)
    result = sync.run(working_state(root), everything=True)
    assert result.outcome is Outcome.PASSED, result.reason
    assert (root / "imported.txt").read_bytes() == (template().repo / "model.txt").read_bytes()
    assert status(root) == {}


def sync_all(root: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What `mlbutler sync --all` says."""
    capsys.readouterr()
    step(root, Console(json=True, quiet=True), "sync", call=lambda context: sync.run(context, everything=True))
    return str(json.loads(capsys.readouterr().out)["result"]["reason"])


def test_an_import_is_counted_by_every_sync_after_the_one_that_brought_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    storage = copy_remote(tmp_path / "storage")
    author = clone(tmp_path / "author", str(storage))
    dvc(author, "import", "-q", str(template().repo), "params.yaml", "-o", "imported.txt")
    commit(author, "import")
    root = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(author), str(root)], check=True)
    (root / ".dvc" / "config.local").write_text(f"['remote \"origin\"']\n    url = {storage}\n")
    monkeypatch.chdir(root)
    time.sleep(0.06)
    sync_all(root, capsys)
    assert (root / "imported.txt").read_text() == "rate: 1\n"
    said = {sync_all(root, capsys) for _ in range(3)}
    shutil.rmtree(root / ".mlbutler" / "state" / "sync")
    assert {*said, sync_all(root, capsys)} == {"nothing to bring: 7 objects here already"}


def test_a_dependency_inside_an_imported_directory_is_up_to_date(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    working_state: Callable[..., RunContext],
) -> None:
    source = tmp_path / "source"
    subprocess.run(["git", "clone", "-q", str(template().repo), str(source)], check=True)
    author = clone(tmp_path / "author", str(copy_remote(tmp_path / "storage")))
    for name in ("data.dvc", "dvc.lock"):
        (author / name).unlink()
    dvc(author, "import", "-q", str(source), "data", "-o", "imported")
    (author / "dvc.yaml").write_text(
        "stages:\n  copy: {cmd: cp 'imported/a b.txt' copy.txt, deps: ['imported/a b.txt'], outs: [copy.txt]}\n"
    )
    dvc(author, "repro", "-q")
    commit(author, "a stage on one file of an import")
    for number, readable in enumerate((True, False)):
        root = tmp_path / f"clone{number}"
        subprocess.run(["git", "clone", "-q", str(author), str(root)], check=True)
        (root / ".dvc" / "config.local").write_text(f"['remote \"origin\"']\n    url = {tmp_path / 'empty'}\n")
        monkeypatch.chdir(root)
        if not readable:
            source.rename(tmp_path / "gone")
        [stage] = plan.run(working_state(root)).stages
        if readable:
            assert (stage.state, stage.causes) == (StageState.UP_TO_DATE, ())
        else:
            [cause] = stage.causes
            assert (stage.state, cause.kind) == (StageState.NOT_KNOWN, "not known")
            assert f"nor could it be had from data of {source}" in cause.detail
            assert "dvc update imported.dvc" in cause.remedy
