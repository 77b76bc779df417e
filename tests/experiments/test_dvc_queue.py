"""What `dvc exp run --queue` has queued becomes experiments, and leaves DVC's queue."""

from __future__ import annotations

import pickle
from typing import Any

from mlbutler.experiments.dvc_queue import read_queue
from mlbutler.git import Git
from tests.experiments.conftest import Laptop, snapshot


def names(laptop: Laptop) -> list[str]:
    """The names in DVC's queue."""
    lines = laptop.world.dvc("queue", "status").splitlines()[1:]
    return sorted(line.split()[1] for line in lines if line.split()[2:3] != [])


def test_queued_experiments_run_as_they_were_queued(laptop: Laptop) -> None:
    (laptop.root / "src" / "train.py").write_text((laptop.root / "src" / "train.py").read_text() + "# queued\n")
    laptop.world.dvc("exp", "run", "--queue", "-n", "lr", "-S", "train.rate=0.02,0.03")
    laptop.world.dvc("exp", "run", "--queue", "-n", "only", "-S", "train.rate=0.04", "prepare")
    laptop.git("checkout", "-q", "src/train.py")
    before = snapshot(laptop.root)

    planned = laptop.train("--queue", "--dry-run")
    assert "lr-1  train.rate=0.02: runs: train; up to date: prepare" in planned
    assert "only  train.rate=0.04: up to date: prepare" in planned
    assert len(read_queue(Git(laptop.root), "")) == 3

    sent = laptop.train("--queue", "-j", "2")
    assert "3 experiments sent, 2 at once" in sent
    laptop.train("wait")
    found = laptop.list_experiments()
    assert {name: (one["state"], one["overrides"]) for name, one in found.items()} == {
        "lr-1": ("done", ["train.rate=0.02"]), "lr-2": ("done", ["train.rate=0.03"]),
        "only": ("done", ["train.rate=0.04"]),
    }  # fmt: skip
    assert {one["grid"] for one in found.values()} == {"lr"}
    assert found["only"]["targets"] == ["prepare"]
    assert sorted(laptop.runs()) == ["0.02", "0.03"]
    assert laptop.git("show", f"{found['lr-1']['input']}:src/train.py").endswith("# queued")
    assert laptop.git("ls-tree", "-r", "--name-only", found["lr-1"]["result"], ".dvc/tmp") == ""
    assert snapshot(laptop.root) == before
    assert read_queue(Git(laptop.root), "") == ()
    assert "No experiment tasks in the queue" in laptop.world.dvc("queue", "status")
    assert "There is nothing in DVC's queue" in laptop.train("--queue")


def test_options_that_change_what_runs_are_refused_and_the_queue_stays(laptop: Laptop) -> None:
    laptop.world.dvc("exp", "run", "--queue", "-n", "forced", "--force")
    said = laptop.train("--queue", code=2)
    assert "forced was queued with --force, which `mlbutler train` does not know" in said
    assert len(laptop.git("log", "-g", "--format=%H", "refs/exps/celery/stash").split()) == 1
    assert laptop.list_experiments() == {}
    assert "--queue sends what was queued" in laptop.train("--queue", "-S", "train.rate=0.02", code=2)


def test_a_pickle_that_would_run_something_is_not_unpickled(laptop: Laptop) -> None:
    laptop.world.dvc("exp", "run", "--queue", "-n", "bad", "-S", "train.rate=0.02")
    git, options = Git(laptop.root), ".dvc/tmp/repro.dat"

    class Touches:
        def __reduce__(self) -> Any:
            return type(laptop.places).touch, (laptop.places / "called",)

    blob = git.run("hash-object", "-w", "--stdin", input=pickle.dumps({"kwargs": Touches()})).text
    index = {"GIT_INDEX_FILE": str(laptop.places / "index")}
    git.run("read-tree", "refs/exps/celery/stash", extra=index)
    git.run("update-index", "--add", "--cacheinfo", f"100644,{blob},{options}", extra=index)
    tree = git.run("write-tree", extra=index).text
    commit = laptop.git("commit-tree", tree, "-p", "HEAD", "-m", "x")
    message = git.run("log", "-g", "-1", "--format=%gs", "refs/exps/celery/stash").text
    git.run("update-ref", "-m", message, "refs/exps/celery/stash", commit)
    said = laptop.train("--queue", code=2)
    assert "The options with which bad was queued cannot be read" in said
    assert not (laptop.places / "called").exists()
