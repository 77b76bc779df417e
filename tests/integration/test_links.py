"""Links instead of copies: fast, and safe even when a stage writes into what it was given to read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.integration.world import PREPARE, World, params
from tests.store.world import unsound

RUDE = f"""
import pathlib
for file in pathlib.Path("data/raw").iterdir():
    file.chmod(0o644)
    with file.open("a") as text:
        text.write("scribbled")
    file.chmod(0o444)
{PREPARE}
"""


def test_the_work_tree_shares_its_files_with_the_cache(world: World) -> None:
    root = world.clone("origin/main")
    run = world.run(root, {"MLBUTLER_DATA_LINK": "hardlink"}, "--all", verb="sync")
    assert run.code == 0, run.err
    for file in (root / "data" / "raw").iterdir():
        assert file.stat().st_nlink > 1
        assert not file.stat().st_mode & 0o222
    assert world.shell(root, "python", "-m", "dvc", "status", "--json") == "{}"


@pytest.mark.parametrize("link", ["hardlink", "auto", "copy"])
def test_a_stage_that_writes_into_its_input_damages_nothing_for_others(world: World, link: str) -> None:
    world.run(world.clone("origin/main"), {}, "--all", verb="sync")  # the mirror is full
    head = world.branch("rude", {"src/prepare.py": RUDE})
    root = world.clone(head)
    run = world.run(root, world.jenkins("rude") | {"MLBUTLER_DATA_LINK": link})
    assert "stage 'prepare' failed: inputs changed while it ran: data/raw" in run.record["reproduce"]["reason"], run.err
    for store in (root / ".dvc" / "cache", world.mirror, world.remote):
        assert unsound(store) == []
    other = world.clone("origin/main")
    assert world.run(other, {"MLBUTLER_DATA_LINK": link}, "--all", verb="sync").code == 0
    texts = [file.read_text() for file in (other / "data" / "raw").iterdir()]
    assert len(texts) == 5
    assert not any("scribbled" in text for text in texts)


APPENDING = f"""
import pathlib
for file in pathlib.Path("data/raw").iterdir():
    with file.open("a") as text:
        text.write("scribbled")
{PREPARE}
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes through a link whatever its mode")
def test_as_root_a_stage_may_not_write_through_a_link(world: World) -> None:
    world.run(world.clone("origin/main"), {}, "--all", verb="sync")
    root = world.clone(world.branch("appending", {"src/prepare.py": APPENDING}))
    run = world.run(root, world.jenkins("appending") | {"MLBUTLER_DATA_LINK": "hardlink"}, "--isolate", "off")
    assert "stage 'prepare' failed" in run.record["reproduce"]["reason"], run.err
    assert "PermissionError" in run.out + run.err
    mirrored = {path.stat().st_ino for path in world.mirror.rglob("*") if path.is_file()}
    assert {path.stat().st_ino for path in Path(root, "data", "raw").iterdir()} <= mirrored
    assert unsound(world.mirror) == []


PERSISTENT = """
stages:
  one:
    cmd: echo more >> one.txt
    deps: [src/prepare.py, params.yaml]
    outs: [{one.txt: {persist: true}}]
  two:
    cmd: cat one.txt > two.txt
    deps: [one.txt]
    outs: [two.txt]
  three:
    cmd: test -e go && cat two.txt > three.txt
    deps: [two.txt]
    outs: [three.txt]
"""


def test_what_an_earlier_run_made_anew_is_no_change_in_place(world: World) -> None:
    """Stage `one` adds to the output that was brought for it, `three` fails: the next run accuses nobody."""
    world.branch("persist", {"dvc.yaml": PERSISTENT, "go": ""})
    world.git(world.author, "rm", "-q", "metrics.json", "dvc.lock")
    world.dvc("repro", "-q")
    world.git(world.author, "add", "-A")
    world.git(world.author, "commit", "-qm", "made")
    world.share()
    world.git(world.author, "rm", "-q", "go")
    (world.project / "params.yaml").write_text(params(0.5))
    (world.project / "dvc.yaml").write_text(PERSISTENT.replace("cat two.txt", "cat two.txt two.txt"))
    world.git(world.author, "commit", "-qam", "another rate")
    world.push("persist")
    root = world.clone("origin/persist")
    for number in range(2):
        run = world.run(root, world.jenkins("persist"), "--no-publish", "--skip", "commit")
        ran = {stage["name"]: stage["outcome"] for stage in run.record["reproduce"]["stages"]}
        assert ran == {"one": "unchanged" if number else "ran", "two": ran["two"], "three": "failed"}, run.out + run.err
        assert "changed in place" not in run.record["reproduce"]["reason"]
