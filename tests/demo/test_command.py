"""`mlbutler demo` as a user calls it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn
from urllib.parse import unquote

import pytest

from mlbutler.commands.demo import demo
from mlbutler.console import Console
from mlbutler.errors import DiskFull, Interrupted, UsageError
from mlbutler.extras import how_to_get
from mlbutler.record import Record
from mlbutler.record_file import loads
from tests import forked_python
from tests.conftest import GitCommand


def _mlbutler(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return forked_python.run("mlbutler", *arguments, cwd=cwd)


def test_a_folder_that_is_not_empty_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mlbutler-demo").mkdir()
    (tmp_path / "mlbutler-demo" / "mine.txt").write_text("mine")
    done = _mlbutler("demo", cwd=tmp_path)
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert "mlbutler demo DIR" in done.stderr
    assert [path.name for path in (tmp_path / "mlbutler-demo").iterdir()] == ["mine.txt"]


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(UsageError) as caught:
        demo(tmp_path / "taken", Console())
    assert "mlbutler demo DIR" in caught.value.remedy
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.parametrize("library", ["sklearn", "PIL"])
def test_missing_libraries_name_the_extra(library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UsageError) as caught:
        demo(tmp_path / "world", Console())
    assert caught.value.remedy == how_to_get("demo")
    assert not (tmp_path / "world").exists()


def test_a_disk_without_room_is_said_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=9 * 1024 * 1024))
    with pytest.raises(DiskFull, match=r"has 9\.0 MB left"):
        demo(tmp_path / "world", Console())
    assert not list((tmp_path / "world").iterdir())


def test_who_interrupts_it_is_told_how_to_see_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("mlbutler.demo.story.tell", interrupt)
    with pytest.raises(Interrupted) as caught:
        demo(tmp_path / "world", Console())
    assert str(tmp_path / "world") in caught.value.remedy
    assert "mlbutler demo DIR" in caught.value.remedy


@pytest.mark.demo
def test_the_story_comes_true(tmp_path: Path, isolated_environment: Path, git: GitCommand) -> None:
    done = _mlbutler("demo", "the world", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    document = json.loads(done.stdout)
    assert "8. Ada tries four networks at once" in done.stderr
    assert document["experiments"] == ["size-1", "size-2", "size-3", "size-4"]
    assert ": lost" not in done.stderr  # what was sent goes on after the command that sent it

    world = tmp_path / "the world"
    for name in ("project", "repository", "remote", "mirror", "report", "comment", "record", "board"):
        assert Path(document[name]).is_relative_to(world), name
        assert Path(document[name]).exists(), name
    assert not any(isolated_environment.iterdir()), "the user's home was written to"

    first, second, bad = document["outcomes"]
    assert [first["exit_code"], second["exit_code"], bad["exit_code"]] == [0, 0, 1]
    assert [first["verdict"], second["verdict"], bad["verdict"]] == ["better", "better", "worse"]
    assert [first["stages_run"], second["stages_run"]] == [["train", "evaluate"], []]
    assert first["downloaded"] > 0
    assert (second["downloaded"], second["uploaded"]) == (0, 0)
    assert document["verdict"] == "better"
    assert document["change"]["number"] == "1"

    repository = Path(document["repository"])
    assert git(repository, "rev-parse", "larger-network") == document["result_commit"]
    assert git(repository, "rev-parse", "larger-network^") == document["change"]["head"]
    before, after = (json.loads(git(repository, "show", f"{rev}:metrics.json")) for rev in ("main", "larger-network"))
    assert after["accuracy"] > before["accuracy"]
    record: Record = loads(Path(document["record"]).read_text())
    assert record.compare is not None
    accuracy = next(metric for metric in record.compare.metrics if metric.name == "accuracy")
    assert (accuracy.old, accuracy.new) == (before["accuracy"], after["accuracy"])
    assert str(after["accuracy"])[:5] in Path(document["comment"]).read_text()
    assert "<svg" in Path(document["report"]).read_text()
    index = (world / "index.html").read_text()
    pages = [world / unquote(link) for link in re.findall(r'href="([^"]+)"', index)]
    assert len(pages) == 5
    assert all(page.is_file() for page in pages)
    assert "<table>" in pages[0].read_text()
    assert "mlbutler init" in done.stderr
