"""A project in a folder of its repository, without its data, whose settings name branches, remotes and a pipeline."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mlbutler.errors import PathRefused
from mlbutler.experiments.train_folder import TrainFolder
from tests.experiments.conftest import Laptop, snapshot
from tests.integration.world import make

_SETTINGS = """
[project]
target = "release"
git_remote = "upstream"
[reproduce]
targets = ["train"]
[report]
name = "gpu"
"""


@pytest.mark.parametrize("link", [".mlbutler", ".mlbutler/train"])
def test_a_link_in_the_place_of_the_folder_is_not_followed(tmp_path: Path, link: str) -> None:
    (elsewhere := tmp_path / "elsewhere").mkdir()
    place = tmp_path / "project" / link
    place.parent.mkdir(parents=True)
    place.symlink_to(elsewhere)
    with pytest.raises(PathRefused, match=link):
        TrainFolder(tmp_path / "project").prepare()
    assert list(elsewhere.iterdir()) == []


def test_a_project_in_a_folder_whose_data_only_the_remote_has(tmp_path: Path) -> None:
    (tmp_path / "world").mkdir()
    world = make(tmp_path / "world", folder="models/digits")
    world.git(world.author, "remote", "rename", "origin", "upstream")
    world.git(world.author, "checkout", "-q", "-b", "topic")
    config = world.project / ".dvc" / "config"
    config.write_text(config.read_text().replace(str(world.remote), "../../../../dvc-remote"))
    (world.project / "mlbutler.toml").write_text(_SETTINGS)
    world.git(world.author, "commit", "-qam", "a relative remote, and settings")
    shutil.rmtree(world.project / ".dvc" / "cache")
    shutil.rmtree(world.project / "data" / "raw")
    shutil.rmtree(world.project / "prepared")
    laptop = Laptop(world, tmp_path)
    before = snapshot(world.author)

    planned = json.loads(world.run(laptop.root, {}, "-S", "train.rate=0.02", "--dry-run", "--json", verb="train").out)
    (one,) = planned["experiments"]
    assert one["targets"] == ["train"]
    assert one["plan"]["download_bytes"] > 0, "the sizes of what only the remote has"

    laptop.train("-n", "small", "-S", "train.rate=0.02")
    assert "small: done" in laptop.train("wait")
    assert snapshot(world.author) == before
    result = laptop.list_experiments()["small"]["result"]
    metrics = json.loads(world.git(world.author, "show", f"{result}:models/digits/metrics.json"))
    assert metrics["accuracy"] == 0.92
    changed = world.git(world.author, "diff", "--name-only", "HEAD", result).split()
    assert set(changed) == {
        f"models/digits/{name}" for name in ("curve.csv", "dvc.lock", "metrics.json", "params.yaml")
    }
    assert "dvc.lock" in laptop.train("fetch", "small")
    assert json.loads((laptop.root / "metrics.json").read_text()) == metrics
