"""`mlbutler train fetch` brings data and parts of results, and overwrites nothing that is only here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.experiments.conftest import Laptop, snapshot


def test_results_come_with_their_data(better: Laptop) -> None:
    said = better.train("fetch", "better", "--data")
    assert "written: dvc.lock, metrics.json, params.yaml" in said
    assert (better.root / "model.txt").read_text() == "model at 0.05"
    assert "up to date" in better.world.dvc("status")
    run = better.world.run(better.root, {}, "fetch", "better", "--data", "--json", verb="train")
    document = json.loads(run.out)
    assert (run.code, document["written"], document["data"]["outcome"]) == (0, [], "passed")


def test_links_and_modes_come_as_the_experiment_has_them(laptop: Laptop) -> None:
    root = laptop.root
    (root / "link").symlink_to("params.yaml")
    (root / "src" / "train.py").chmod(0o755)
    laptop.git("add", "link")
    laptop.train("-n", "linked", "-S", "train.rate=0.05")
    laptop.train("wait")
    assert "written: dvc.lock, metrics.json, params.yaml" in laptop.train("fetch", "linked")  # the link is the same

    laptop.git("reset", "-q", "--hard")
    laptop.train("fetch", "linked")
    assert (root / "link").readlink() == Path("params.yaml")
    assert (root / "src" / "train.py").stat().st_mode & 0o111

    (root / "link").unlink()
    (root / "link").symlink_to("README.md")  # mine
    (root / "src" / "train.py").chmod(0o644)
    assert "Changed here since linked was sent: link. Nothing" in laptop.train("fetch", "linked", code=1)
    assert (root / "link").readlink() == Path("README.md")
    assert not (root / "src" / "train.py").stat().st_mode & 0o111


def test_one_path_of_either_kind_is_brought(better: Laptop) -> None:
    before = snapshot(better.root)
    better.train("fetch", "better", "--only", "metrics.json")
    assert json.loads((better.root / "metrics.json").read_text())["accuracy"] == 0.95
    now = snapshot(better.root)
    changed = {path for path in before.keys() | now.keys() if before.get(path) != now.get(path)}
    assert changed == {"metrics.json"}

    said = better.train("fetch", "better", "--only", "model.txt")
    assert "written: dvc.lock" in said
    assert (better.root / "model.txt").read_text() == "model at 0.05"
    assert (better.root / "params.yaml").read_text() == "train: {rate: 0.01}\n"
    assert "the results of better have no ../away" in better.train("fetch", "better", "--only", "../away", code=2)
    assert "the results of better have no nothing.txt" in better.train(
        "fetch", "better", "--only", "nothing.txt", code=2
    )


def test_a_part_of_a_directory_is_brought(better: Laptop) -> None:
    shutil.rmtree(better.root / "prepared")
    better.train("fetch", "better", "--only", "prepared/text 1 é.txt")
    assert [path.name for path in (better.root / "prepared").iterdir()] == ["text 1 é.txt"]


def test_data_that_no_store_holds_is_not_overwritten(better: Laptop) -> None:
    (better.root / "model.txt").unlink()
    (better.root / "model.txt").write_text("mine")
    said = better.train("fetch", "better", "--data", code=1)
    assert "model.txt" in said
    assert (better.root / "model.txt").read_text() == "mine"
