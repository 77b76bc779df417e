"""`mlbutler train` on a played controller: from a dirty work tree over agents to DVC experiments in any clone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.experiments.conftest import Laptop, snapshot
from tests.experiments.pipeline import Pipeline, agent_environ
from tests.jenkins.controller import Controller
from tests.jenkins.farm import Farm


class Plant:
    """A laptop, a controller and two agents with one executor each."""

    def __init__(self, laptop: Laptop, folder: Path) -> None:
        self.laptop = laptop
        world = laptop.world
        pipeline = Pipeline(world.bare, folder / "agents", agent_environ(world.base_environ()))
        self.farm = Farm({"one": ["gpu", "one"], "two": ["gpu", "two"]}, pipeline)
        self.controller = Controller(password="pass word", token="t0ken")
        self.controller.farm = self.farm
        self.controller.serve()
        world.environ |= {
            "MLBUTLER_TRAIN_URL": self.controller.url, "MLBUTLER_TRAIN_JOB": "team/train",
            "MLBUTLER_TRAIN_LABEL": "gpu", "MLBUTLER_JENKINS_USER": "somebody", "MLBUTLER_JENKINS_TOKEN": "t0ken",
        }  # fmt: skip
        world.push("main")

    def close(self) -> None:
        (self.laptop.places / "go").touch()
        self.farm.close()
        self.controller.shutdown()
        self.controller.server_close()

    def until(self, **states: str) -> None:
        self.laptop.until(lambda: {name: self.states().get(name) for name in states} == states)

    def states(self) -> dict[str, str]:
        return {name: one["state"] for name, one in self.laptop.list_experiments().items()}

    def idle(self) -> bool:
        return not self.farm.items and not any(build.building for build in self.farm.builds)

    def log(self) -> str:
        return "\n".join(build.log.decode() for build in self.farm.builds)


@pytest.fixture
def plant(laptop: Laptop, tmp_path: Path) -> Iterator[Plant]:
    made = Plant(laptop, tmp_path)
    yield made
    made.close()


def dvc_rows(plant: Plant, clone: Path) -> dict[str, Any]:
    """Return what `dvc exp show` says in another clone, where mlbutler was never."""
    plant.laptop.world.git(clone, "fetch", "-q", "origin", "+refs/exps/*:refs/exps/*")
    shown = json.loads(plant.laptop.world.shell(clone, "python", "-m", "dvc", "exp", "show", "--json"))
    found = [one for row in shown for one in row["experiments"] or []]
    return {one["revs"][0]["name"]: one["revs"][0]["data"] for one in found}


def test_a_grid_goes_on_over_two_agents_when_nobody_is_there(plant: Plant) -> None:
    laptop, root = plant.laptop, plant.laptop.root
    (root / "src" / "train.py").write_text((root / "src" / "train.py").read_text() + "# edited\n")
    laptop.git("add", "src/train.py")
    (root / "data" / "raw" / "more.txt").write_text("more")
    laptop.world.dvc("add", "-q", "data/raw")
    (root / "notes.txt").write_text("not sent")
    before = snapshot(root)

    sent = laptop.train("-n", "lr", "-S", "train.rate=0.02,0.03,0.04,0.05", "-j", "2")
    assert "data for" in sent
    assert "4 experiments sent, 2 at once. This terminal may be closed." in sent
    assert sent.count("build asked for") == 2
    assert snapshot(root) == before

    end = time.monotonic() + 600
    while not plant.idle() or len(plant.farm.builds) < 4:  # the laptop is shut
        assert time.monotonic() < end, plant.log()
        time.sleep(0.2)
    assert [build.result for build in plant.farm.builds] == ["SUCCESS"] * 4, plant.log()
    assert sorted(laptop.runs()) == ["0.02", "0.03", "0.04", "0.05"]
    assert plant.states() == dict.fromkeys(("lr-1", "lr-2", "lr-3", "lr-4"), "done")
    listed = laptop.train("list")
    assert "4 done; best: lr-4, accuracy 0.95 (+0.04)" in listed
    assert "lr-1  done  train.rate=0.02  accuracy 0.92 (+0.01)" in listed
    assert "training at 0.03" in laptop.train("logs", "lr-2")
    assert snapshot(root) == before
    assert laptop.train("wait", "lr").count("done") == 4

    again = laptop.train("-S", "train.rate=0.03,0.04")
    assert "lr-2  train.rate=0.03: reused: it is done already" in again
    assert len(plant.farm.builds) == 4

    other = laptop.world.clone("origin/main")
    rows = dvc_rows(plant, other)
    assert {name: one["metrics"]["metrics.json"]["data"]["accuracy"] for name, one in rows.items()} == {
        "lr-1": 0.92, "lr-2": 0.93, "lr-3": 0.94, "lr-4": 0.95,
    }  # fmt: skip
    baseline = laptop.world.git(other, "rev-parse", "HEAD")
    laptop.world.git(other, "checkout", "-q", f"refs/exps/{baseline[:2]}/{baseline[2:]}/lr-3")
    laptop.world.shell(other, "python", "-m", "dvc", "pull", "-q")
    laptop.world.git(other, "checkout", "-q", baseline)
    laptop.world.shell(other, "python", "-m", "dvc", "exp", "apply", "lr-3")
    assert json.loads((other / "metrics.json").read_text())["accuracy"] == 0.94
    assert (other / "src" / "train.py").read_text().endswith("# edited\n")

    laptop.git("stash", "-q")
    assert "written: " in laptop.train("fetch", "lr-4", "--data")
    assert (root / "model.txt").read_text() == "model at 0.05"
    laptop.train("rm", "lr", "--yes")
    assert plant.states() == {}
    assert not [ref for ref in laptop.git("ls-remote", "origin").split() if "exps" in ref or "mlbutler" in ref]


def test_an_agent_that_is_killed_is_replaced_and_the_result_comes_once(plant: Plant) -> None:
    laptop = plant.laptop
    laptop.train("-n", "long", "-S", "train.rate=0.6")
    laptop.until(lambda: laptop.runs() == ["0.6"])
    assert laptop.list_experiments()["long"]["agent"] == "one"
    plant.farm.kill("one")
    laptop.until(lambda: laptop.runs() == ["0.6", "0.6"])
    (laptop.places / "go").touch()
    laptop.train("wait", "long")
    one = laptop.list_experiments()["long"]
    assert (one["state"], one["attempt"], one["agent"]) == ("done", 2, "two")
    refs = laptop.git("ls-remote", "origin", "refs/exps/*").splitlines()
    assert len(refs) == 1


def test_cancelled_in_each_state_it_keeps_what_it_has(plant: Plant) -> None:
    laptop = plant.laptop
    laptop.train("-n", "lr", "-S", "train.rate=0.6,0.7,0.8", "-j", "1")
    laptop.until(lambda: laptop.runs() == ["0.6"])
    plant.until(**{"lr-1": "running", "lr-2": "waiting"})
    shown = laptop.train("list")
    assert "lr-2  waiting  train.rate=0.7  1 at once" in shown
    done = laptop.train("cancel", "lr-2", "lr-3")
    assert "lr-2: cancelled: by somebody; before it began" in done
    assert laptop.runs() == ["0.6"]
    laptop.until(lambda: "stage 1 of 1: train" in laptop.train("list"))
    follow = laptop.begin("attach", "lr-1")
    assert follow.stdout is not None
    said = ""
    while "training at 0.6" not in said:
        said += follow.stdout.readline()
    assert "Name experiments, or give --all-mine" in laptop.train("cancel", code=2)
    done = laptop.train("cancel", "--all-mine", "--grace", "120")
    assert "lr-1: asked to end within 120 s" in done
    assert "none of its processes is left" in done
    said += follow.communicate(timeout=120)[0]
    assert "== lr-1: running on " in said
    assert "checkpoint saved" in said
    assert follow.returncode == 130
    assert "checkpoint saved" in laptop.train("logs", "lr-1")
    laptop.until(plant.idle)
    assert "Nothing of yours is under way" in laptop.train("cancel", "--all-mine")
    assert laptop.train("wait", "lr", code=130) != ""
    planned = laptop.train("-S", "train.rate=0.6", "--dry-run")
    assert "runs: train" in planned


def test_a_submit_that_breaks_off_is_finished_by_the_same_command(plant: Plant) -> None:
    laptop = plant.laptop
    words = ("-n", "lr", "-S", "train.rate=0.02,0.03", "-j", "2")
    plant.controller.token = "another"
    refused = laptop.train(*words, code=3)
    assert "refused" in refused
    assert laptop.git("ls-remote", "origin", "refs/mlbutler/*") == "", "the job is asked before anything is sent"
    plant.controller.token = "t0ken"
    plant.farm.disabled = True
    broken = laptop.train(*words, code=2)
    assert "'team/train' is disabled" in broken
    assert "Data, code and states are on origin already" in broken
    plant.farm.disabled = False
    again = laptop.train(*words)
    assert again.count("reused: it is waiting already") == 2
    assert again.count("build asked for") == 2
    laptop.train("wait", "lr")
    assert sorted(laptop.runs()) == ["0.02", "0.03"]


def test_what_would_not_work_there_is_refused_with_a_way_out(plant: Plant) -> None:
    laptop = plant.laptop
    del laptop.world.environ["MLBUTLER_TRAIN_URL"]
    settings = laptop.root / "mlbutler.toml"
    settings.write_text(settings.read_text() + f'\n[train]\nurl = "{plant.controller.url}"\n')
    unsent = laptop.train("-n", "one", code=2)
    assert "The token in MLBUTLER_JENKINS_TOKEN is not sent to" in unsent
    assert plant.controller.asked == []
    laptop.world.environ["MLBUTLER_TRAIN_URL"] = plant.controller.url
    plant.farm.declared = ()
    assert "has no parameter EXPERIMENT and LABEL" in laptop.train("-n", "one", code=2)
    plant.farm.declared = ("EXPERIMENT", "LABEL")
    assert "the name of one label" in laptop.train("-n", "one", "--label", "gpu && fast", code=2)
    big = laptop.root / "data" / "raw" / "big.bin"
    big.write_bytes(b"x" * 5000)
    laptop.world.dvc("add", "-q", "data/raw")
    laptop.world.environ["MLBUTLER_TRAIN_ASK_ABOVE"] = "4000"
    assert "of data would be sent, more than train.ask_above. Nothing was sent." in laptop.train("-n", "one", code=2)
    assert laptop.list_experiments() == {}
    assert "1 experiment sent" in laptop.train("-n", "one", "-y")
    laptop.train("wait")
