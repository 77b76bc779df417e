"""A plan is believed by the next verb only as long as nothing that it rested on has changed."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlbutler.state.segments import Segment
from tests import forked_python
from tests.integration.world import World
from tests.watched import run_watched

Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def planned_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    from tests.integration.world import make

    world = make(tmp_path_factory.mktemp("planned"))
    (world.author / "shared.yaml").write_text("options: -v\n")
    stages = (world.author / "dvc.yaml").read_text()
    (world.author / "dvc.yaml").write_text(f"vars: [shared.yaml]\n{stages}")
    (world.author / ".gitignore").open("a").write("/ignored\n")
    world.git(world.author, "add", "-A")
    world.git(world.author, "commit", "-qm", "vars")
    world.git(world.author, "push", "-q", "origin", "main")
    return world


def run_watching_project(world: World, root: Path, *words: str) -> tuple[bool, dict[str, Any]]:
    """(did the verb open DVC's project, its document)."""
    done = run_watched(root, "mlbutler", *words, "--json", environ=world.base_environ())
    return done.project, json.loads(done.said)


def run_watching_imports(world: World, root: Path, *words: str) -> tuple[bool, dict[str, Any]]:
    """(did the verb import what opens DVC's project, its document)."""
    watch = (
        "import sys\nfrom mlbutler.cli import main\n"
        f"try:\n    main({[*words, '--json']!r})\n"
        "finally:\n    print('dvc.repo' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        ["python", "-c", watch], cwd=root, capture_output=True, text=True, env=world.base_environ(), check=False,
        timeout=600,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.stderr.strip().splitlines()[-1] == "True", json.loads(done.stdout)


def a_clone(world: World) -> Path:
    root = world.clone("origin/main")
    time.sleep(0.1)
    done = forked_python.run("mlbutler", "plan", cwd=root, env=world.base_environ())
    assert done.returncode == 0, done.stderr
    return root


def test_the_next_verbs_open_no_project(planned_world: World) -> None:
    root = a_clone(planned_world)
    for words in (["plan"], ["sync"], ["check", "lock"], ["commit"]):
        there, document = run_watching_imports(planned_world, root, *words)
        assert there is False, words
        assert document["result"]["outcome"] == "passed"
        assert run_watching_project(planned_world, root, *words)[0] is False, words
    assert (
        run_watching_project(planned_world, root, "plan")[1]["result"]["reason"]
        == "nothing is stale: 2 of 2 stages up to date"
    )
    assert run_watching_project(planned_world, root, "check", "lock")[1]["result"]["reason"] == "dvc.lock is up to date"


CHANGES: dict[str, Change] = {
    "a dependency": lambda root: (root / "src" / "train.py").open("a").write("# changed\n"),
    "a dependency with the same size": lambda root: (root / "src" / "train.py").write_text(
        (root / "src" / "train.py").read_text().replace("import", "imporT", 1)
    ),
    "a parameter": lambda root: (root / "params.yaml").open("a").write("new: 1\n"),
    "the stages": lambda root: (root / "dvc.yaml").open("a").write("# a comment\n"),
    "dvc.lock is gone": lambda root: (root / "dvc.lock").unlink(),
    "a file of vars": lambda root: (root / "shared.yaml").write_text("options: -w\n"),
    "an output that appears": lambda root: (root / "model.txt").write_text("other"),
    "a new dvc.yaml in a new folder": lambda root: _file(root / "more" / "dvc.yaml", "stages: {a: {cmd: 'true'}}\n"),
    "a new dvc.yaml in an ignored folder": lambda root: _file(
        root / "ignored" / "dvc.yaml", "stages: {a: {cmd: 'true'}}\n"
    ),
    "a new dvc.yaml in a known folder": lambda root: _file(root / "src" / "dvc.yaml", "stages: {a: {cmd: 'true'}}\n"),
    "a .dvcignore": lambda root: (root / ".dvcignore").write_text("src\n"),
    "local settings": lambda root: (root / ".dvc" / "config.local").write_text("[core]\n    remote = other\n"),
    "the record is gone": lambda root: (root / ".mlbutler" / "record.json").unlink(),
    "what was kept is torn": lambda root: os.truncate(Segment(root / ".mlbutler", "plan").file, 50),
}


def _file(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_makes_it_plan_anew(planned_world: World, change: str) -> None:
    root = a_clone(planned_world)
    CHANGES[change](root)
    assert run_watching_project(planned_world, root, "plan")[0] is True


def test_another_choice_of_stages_is_another_plan(planned_world: World) -> None:
    root = a_clone(planned_world)
    assert run_watching_project(planned_world, root, "plan", "train")[0] is True
    assert run_watching_project(planned_world, root, "plan", "train")[0] is False


def test_a_plan_with_stale_stages_is_not_kept(planned_world: World) -> None:
    root = a_clone(planned_world)
    before = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(before.replace("0.1", "0.3").replace("0.2", "0.4") + "rate: 5\n")
    (root / "src" / "train.py").open("a").write("# stale\n")
    document = run_watching_project(planned_world, root, "plan")[1]
    assert "stale" in document["result"]["reason"]
    time.sleep(0.1)
    assert run_watching_project(planned_world, root, "plan")[0] is True


def test_an_entry_that_nothing_declares_is_found_every_time(planned_world: World) -> None:
    root = a_clone(planned_world)
    lock = (root / "dvc.lock").read_text()
    (root / "dvc.lock").write_text(lock + "  gone:\n    cmd: 'true'\n")
    time.sleep(0.1)
    for _ in range(2):
        result = run_watching_project(planned_world, root, "check", "lock")[1]["result"]
        assert result["notes"] == ["dvc.lock keeps what no dvc.yaml declares any more, which harms nothing: gone"]
