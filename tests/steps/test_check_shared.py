"""What the remote answered one build on an agent, a fresh clone of the same commit believes, and no other."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlbutler.commands.step import step
from mlbutler.console import Console
from mlbutler.project.project import Project
from mlbutler.state.presence import CHECK
from mlbutler.state.results import PLAN
from mlbutler.state.segments import FOLDER, Segment
from mlbutler.steps import check, sync
from mlbutler.steps.context import RunContext
from mlbutler.store.interface import ObjectId
from tests.store.dvc_world import clone, copy_remote, template, trained_model
from tests.store.world import PASSWORD, USER, Remote, md5

OBJECTS = 6
SHARED = Path("mlbutler") / FOLDER / CHECK


def model() -> ObjectId:
    return ObjectId(md5(trained_model()))


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Remote]:
    server = Remote(copy_remote(tmp_path / "remote"), auth="basic")
    yield server
    server.close()


@pytest.fixture(autouse=True)
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The mirror that all builds share."""
    (tmp_path / "mirror").mkdir()
    shutil.copytree(template().repo / ".dvc" / "cache" / "files", tmp_path / "mirror" / "files")
    for name in ("origin", "other"):
        monkeypatch.setenv(f"MLBUTLER_REMOTE_{name.upper()}_USER", USER)
        monkeypatch.setenv(f"MLBUTLER_REMOTE_{name.upper()}_PASSWORD", PASSWORD)
    monkeypatch.setenv("MLBUTLER_DATA_MIRROR", str(tmp_path / "mirror"))
    return tmp_path / "mirror"


def build(directory: Path, url: str) -> Path:
    """A fresh clone that has been planned."""
    root = clone(directory, url)
    time.sleep(0.06)
    step(root, Console(quiet=True), "plan")
    return root


def run_check_pushed(root: Path, *, anew: bool = False) -> tuple[dict[str, Any], bool]:
    """What `mlbutler check pushed` leaves in the record, and whether it opened the project for that."""
    opened: list[Path] = []
    with pytest.MonkeyPatch.context() as patch:
        made = Project._open_repo

        def opening(self: Project, config: Any) -> Any:
            opened.append(self.root)
            return made(self, config)

        patch.setattr(Project, "_open_repo", opening)
        step(root, Console(quiet=True), "check", call=lambda context: check.run(context, ("pushed",), anew=anew))
    return json.loads((root / ".mlbutler" / "record.json").read_text())["check"], bool(opened)


@pytest.fixture
def first(tmp_path: Path, remote: Remote) -> Path:
    """A build that asked the remote for everything."""
    root = build(tmp_path / "first", remote.url)
    result, opened = run_check_pushed(root)
    assert (result["outcome"], result["remembered"], opened) == ("passed", 0, True)
    assert result["reason"] == f"all {OBJECTS} objects of 3 artifacts are on the remote"
    return root


def test_a_fresh_clone_of_the_same_commit_believes_it_and_says_how_old_it_is(
    first: Path, remote: Remote, agent: Path, tmp_path: Path
) -> None:
    second = build(tmp_path / "second", remote.url)
    artifacts = Segment(second / ".mlbutler", PLAN).read()["artifacts"]
    shared = Segment(agent / "mlbutler", CHECK, artifacts)
    before = len(remote.requests)
    shared.append({"asked": time.time() - 7200})
    result, opened = run_check_pushed(second)
    assert not opened
    assert len(remote.requests) == before
    assert (result["outcome"], result["checked"], result["remembered"]) == ("passed", OBJECTS, OBJECTS)
    assert result["reason"] == (
        f"all {OBJECTS} objects of 3 artifacts are on the remote ({OBJECTS} of them when last asked, 2 h 0 min ago)"
    )
    assert PASSWORD not in shared.file.read_text()


def test_it_is_asked_anew_when_that_is_wanted(first: Path, remote: Remote, tmp_path: Path) -> None:
    second = build(tmp_path / "second", remote.url)
    before = len(remote.requests)
    result, _ = run_check_pushed(second, anew=True)
    assert result["remembered"] == 0
    assert len(remote.requests) >= before + OBJECTS


@pytest.mark.parametrize("other", ["address", "size", "hash", "mirror", "an artifact more"])
def test_a_clone_with_anything_else_asks_for_itself(
    first: Path, remote: Remote, other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = clone(tmp_path / "second", remote.url + "/x" if other == "address" else remote.url)
    lock = (second / "dvc.lock").read_text()
    size = len(trained_model())
    if other == "size":
        assert f"size: {size}" in lock
        (second / "dvc.lock").write_text(lock.replace(f"size: {size}", f"size: {size + 1}"))
    elif other == "hash":
        (second / "dvc.lock").write_text(lock.replace(model().md5, "a" * 32))
    elif other == "an artifact more":
        shutil.copy(second / "data.dvc", second / "more.dvc")
        (second / "more.dvc").write_text((second / "data.dvc").read_text().replace("path: data", "path: more"))
    elif other == "mirror":
        monkeypatch.setenv("MLBUTLER_DATA_MIRROR", str(tmp_path / "another"))
    time.sleep(0.06)
    step(second, Console(quiet=True), "plan")
    result, opened = run_check_pushed(second)
    assert opened
    passed = other in ("mirror", "an artifact more")
    assert (result["outcome"] == "passed") is passed


def test_the_same_clone_with_another_remote_asks_that_one(
    first: Path, remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = clone(tmp_path / "second", remote.url)
    config = (second / ".dvc" / "config.local").read_text()
    (second / ".dvc" / "config.local").write_text(f"{config}['remote \"other\"']\n    url = {remote.url}/elsewhere\n")
    time.sleep(0.06)
    step(second, Console(quiet=True), "plan")
    assert run_check_pushed(second)[1] is False
    monkeypatch.setenv("MLBUTLER_DATA_REMOTE", "other")
    result, opened = run_check_pushed(second)
    assert opened
    assert result["outcome"] == "failed"


def test_a_remote_that_is_elsewhere_since_is_asked_there(first: Path, remote: Remote, tmp_path: Path) -> None:
    """By the user's own settings, which lie outside the clone."""
    second = clone(tmp_path / "second", remote.url)
    (second / ".dvc" / "config.local").unlink()
    settings = Path(os.environ["DVC_GLOBAL_CONFIG_DIR"]) / "config"
    settings.parent.mkdir()
    (second / ".dvc" / "config").write_text("[core]\n    remote = origin\n")
    settings.write_text(f"['remote \"origin\"']\n    url = {remote.url}\n")
    time.sleep(0.06)
    step(second, Console(quiet=True), "plan")
    assert run_check_pushed(second)[1] is False
    settings.write_text(f"['remote \"origin\"']\n    url = {remote.url}/elsewhere\n")
    result, opened = run_check_pushed(second)
    assert opened
    assert result["outcome"] == "failed"


def test_what_is_too_old_is_asked_again(first: Path, remote: Remote, agent: Path, tmp_path: Path) -> None:
    second = build(tmp_path / "second", remote.url)
    artifacts = Segment(second / ".mlbutler", PLAN).read()["artifacts"]
    for asked in (time.time() - 10 * 86400, time.time() + 7200):
        Segment(agent / "mlbutler", CHECK, artifacts).append({"asked": asked})
        shutil.rmtree(
            second / ".mlbutler" / FOLDER / CHECK, ignore_errors=True
        )  # what the remote answered this clone itself
        assert run_check_pushed(second)[1] is True


@pytest.mark.parametrize("who", ["check", "check again", "sync"])
def test_any_build_that_misses_something_makes_all_ask_again(
    first: Path, remote: Remote, agent: Path, who: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = build(tmp_path / "second", remote.url)
    (remote.root / model().key).unlink()
    if who == "check again":
        assert run_check_pushed(first, anew=True)[0]["outcome"] == "failed"
    elif (
        who == "check"
    ):  # of a clone with one more artifact, so that it asks; the remote answered for the others before
        third = clone(tmp_path / "third", remote.url)
        (third / "more.dvc").write_text(f"outs:\n- md5: {'a' * 32}\n  size: 3\n  hash: md5\n  path: more\n")
        time.sleep(0.06)
        step(third, Console(quiet=True), "plan")
        assert run_check_pushed(third)[0]["outcome"] == "failed"
    else:
        shutil.rmtree(agent / "files")
        step(first, Console(quiet=True), "sync", call=lambda context: sync.run(context, everything=True))
    for root in (first, second):
        result, opened = run_check_pushed(root)
        assert opened
        assert result["outcome"] == "failed"
        assert [finding["subject"] for finding in result["findings"]] == ["model.txt"]


def test_what_a_directory_holds_is_looked_at_every_time(agent: Path, tmp_path: Path) -> None:
    storage = copy_remote(tmp_path / "storage")
    for name in ("one", "two"):
        assert run_check_pushed(build(tmp_path / name, str(storage)))[1] is True
    assert not (agent / SHARED).exists()
    (storage / model().key).unlink()
    assert run_check_pushed(tmp_path / "two")[0]["outcome"] == "failed"


def test_a_fork_s_change_is_told_nothing(first: Path, remote: Remote, tmp_path: Path) -> None:
    second = build(tmp_path / "second", remote.url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunContext, "trusted", property(lambda self: False))
        result, opened = run_check_pushed(second)
    assert opened
    assert "not asked" in result["reason"]


def test_a_torn_answer_is_no_answer_and_is_replaced(first: Path, agent: Path) -> None:
    [file] = (agent / SHARED).iterdir()
    file.write_text(file.read_text()[:-20])
    shutil.rmtree(first / ".mlbutler" / FOLDER / CHECK)
    assert run_check_pushed(first)[1] is True
    assert run_check_pushed(first)[1] is False
