"""Links instead of copies: fast, and safe even when a stage writes into what it was given to read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.integration.world import PREPARE, World
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
    assert "changed in place" in run.record["reproduce"]["reason"], run.err
    assert "data/raw" in run.record["reproduce"]["reason"]
    for store in (root / ".dvc" / "cache", world.mirror, world.remote):
        assert unsound(store) == []
    other = world.clone("origin/main")
    assert world.run(other, {"MLBUTLER_DATA_LINK": link}, "--all", verb="sync").code == 0
    texts = [file.read_text() for file in (other / "data" / "raw").iterdir()]
    assert len(texts) == 5
    assert not any("scribbled" in text for text in texts)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes through a link whatever its mode")
def test_as_root_the_mirror_shares_no_file_with_a_linked_work_tree(world: World) -> None:
    world.run(world.clone("origin/main"), {}, "--all", verb="sync")
    root = world.clone("origin/main")
    assert world.run(root, {"MLBUTLER_DATA_LINK": "hardlink"}, "--all", verb="sync").code == 0
    mirrored = {path.stat().st_ino for path in world.mirror.rglob("*") if path.is_file()}
    assert not mirrored & {path.stat().st_ino for path in Path(root, "data", "raw").iterdir()}
