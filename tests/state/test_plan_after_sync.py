"""After `sync --all` the plan holds as it did before, and not where anything else changed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlbutler.commands.step import step
from mlbutler.console import Console
from mlbutler.project.project import Project
from mlbutler.state.fingerprint import Fingerprint, wait_while_racy
from mlbutler.steps import check, sync
from tests import forked_python
from tests.store.dvc_world import clone, copy_remote

PLAN = ("plan",)
SYNC = ("sync", "--all")


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_remote(tmp_path_factory.mktemp("remote") / "remote")


@pytest.fixture
def root(remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh clone, into whose folders `sync` puts data; one of them is not there before."""
    root = clone(tmp_path / "clone", str(remote))
    (root / "deep" / "er").mkdir(parents=True)
    (root / "data.dvc").rename(root / "deep" / "er" / "data.dvc")
    for name in ("dvc.yaml", "dvc.lock"):
        text = (root / name).read_text()
        for word, moved in (("data", "deep/er/data"), ("model.txt", "made/here/model.txt")):
            for before, after in (("-r ", "/."), ("[", "]"), ("path: ", "\n")):
                text = text.replace(f"{before}{word}{after}", f"{before}{moved}{after}")
        (root / name).write_text(text)
    (root / ".gitignore").write_text("made\n/prepared\n/.mlbutler\n")
    monkeypatch.chdir(root)
    time.sleep(0.06)
    return root


def opens_project(root: Path, *words: str) -> bool:
    """Take a step; did it open DVC's project?"""
    found: list[Path] = []
    made = Project._open_repo

    def opening(self: Project, config: Any) -> Any:
        found.append(self.root)
        return made(self, config)

    calls: dict[str, Callable[[Any], Any]] = {
        "sync": lambda context: sync.run(context, everything=True),
        "check": lambda context: check.run(context, words[1:]),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Project, "_open_repo", opening)
        code = step(root, Console(quiet=True), words[0], call=calls.get(words[0]))
    outcome = json.loads((root / ".mlbutler" / "record.json").read_text())[words[0]]["outcome"]
    assert (code == 0) == (outcome == "passed")
    return bool(found)


def test_after_everything_was_brought_the_next_verbs_open_no_project(root: Path) -> None:
    assert opens_project(root, *SYNC)
    assert (root / "made" / "here" / "model.txt").is_file()
    assert (root / "deep" / "er" / "data" / "a b.txt").is_file()
    for words in (PLAN, ("check", "lock"), SYNC, PLAN):
        assert not opens_project(root, *words), words


def test_so_they_do_in_programs_of_their_own(root: Path, tmp_path: Path) -> None:
    """Where nothing can import DVC."""
    assert opens_project(root, *SYNC)
    (tmp_path / "stub").mkdir()
    (tmp_path / "stub" / "dvc.py").write_text("raise ImportError('dvc was imported')\n")
    environ = {**os.environ, "PYTHONPATH": str(tmp_path / "stub"), "TMPDIR": str(tmp_path)}
    for words in (PLAN, ("check", "lock"), SYNC):
        done = forked_python.run("mlbutler", *words, "--json", cwd=root, env=environ)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["result"]["outcome"] == "passed"


def _file(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


STAGE = "stages: {more: {cmd: 'true'}}\n"
TRACKED = "outs:\n- md5: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n  size: 3\n  hash: md5\n  path: x\n"
CHANGES: dict[str, Callable[[Path], object]] = {
    "a dvc.yaml in a folder that was there": lambda root: _file(root / "deep" / "dvc.yaml", STAGE),
    "a dvc.yaml beside what was brought": lambda root: _file(root / "deep" / "er" / "dvc.yaml", STAGE),
    "a dvc.yaml in a folder that was made": lambda root: _file(root / "made" / "dvc.yaml", STAGE),
    "a .dvc file in a folder that was made": lambda root: _file(root / "made" / "here" / "x.dvc", TRACKED),
    "a .dvc file in a new folder": lambda root: _file(root / "new" / "x.dvc", TRACKED),
    "a .dvc file in a new folder in one that was made": lambda root: _file(root / "made" / "new" / "x.dvc", TRACKED),
    "a .dvc file at the top": lambda root: _file(root / "x.dvc", TRACKED),
    "a dependency": lambda root: _file(root / "train.py", (root / "train.py").read_text() + "# changed\n"),
    "a parameter": lambda root: _file(root / "params.yaml", "rate: 2\n"),
    "what was brought": lambda root: _file(root / "deep" / "er" / "data" / "more.txt", "more\n"),
    "an output": lambda root: _file(root / "made" / "here" / "model.txt", "other\n"),
    "a .dvcignore": lambda root: _file(root / ".dvcignore", "prepared\n"),
    "a .dvcignore in a folder that was made": lambda root: _file(root / "made" / ".dvcignore", "here\n"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_after_it_is_noticed(root: Path, change: str) -> None:
    """A moment after: in the very tick in which sync ended."""
    assert opens_project(root, *SYNC)
    CHANGES[change](root)
    assert opens_project(root, *PLAN)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_right_after_planning_is_noticed(root: Path, change: str) -> None:
    """Before anything is brought: what sync makes hides nothing of it."""
    checked, due = sync._check, [CHANGES[change]]

    def late(context: Any, paths: Any) -> None:
        checked(context, paths)
        if due:
            due.pop()(root)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sync, "_check", late)
        step(root, Console(quiet=True), "sync", call=lambda context: sync.run(context, everything=True))
    assert opens_project(root, *PLAN)


def test_an_output_that_is_gone_again_leaves_the_plan_as_it_was_and_is_brought_again(root: Path) -> None:
    assert opens_project(root, *SYNC)
    (root / "made" / "here" / "model.txt").unlink()
    assert not opens_project(root, *PLAN)
    assert opens_project(root, *SYNC)
    assert (root / "made" / "here" / "model.txt").is_file()


@pytest.mark.parametrize("name", ["DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"])
def test_settings_outside_the_clone_count(root: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Path(os.environ[name]) / "config"
    assert opens_project(root, *PLAN)
    assert not opens_project(root, *PLAN)
    _file(settings, "[core]\n    analytics = false\n")
    wait_while_racy([Fingerprint.of(settings.stat())])
    assert opens_project(root, *PLAN)
    assert not opens_project(root, *PLAN)
    settings.unlink()
    assert opens_project(root, *PLAN)


@pytest.mark.parametrize("name", ["HOME", "XDG_CONFIG_HOME", "DVC_GLOBAL_CONFIG_DIR", "MLBUTLER_DATA_REMOTE"])
def test_other_settings_in_the_environment_plan_anew(root: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert opens_project(root, *PLAN)
    monkeypatch.setenv(name, "origin" if name == "MLBUTLER_DATA_REMOTE" else "/elsewhere")
    assert opens_project(root, *PLAN)
