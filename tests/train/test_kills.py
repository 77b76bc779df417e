"""What runs experiments is killed, as by a machine without memory: no experiment is lost, none has two results."""

from __future__ import annotations

from tests.train.conftest import Laptop


def test_a_killed_worker_leaves_an_experiment_that_is_taken_up(laptop: Laptop) -> None:
    laptop.train("-n", "long", "-S", "train.rate=0.6")
    assert "Nothing works at" not in laptop.train("list"), "its worker is at work when it has been sent"
    laptop.until(lambda: laptop.runs() == ["0.6"])
    laptop.kill("mlbutler.train.worker")
    assert "The process that ran long is gone: `mlbutler train wait`" in laptop.train("list")
    assert laptop.listed()["long"]["state"] == "lost"
    laptop.train("-n", "next", "-S", "train.rate=0.02")
    laptop.until(lambda: laptop.runs() == ["0.6", "0.6"])
    assert len([one for one in laptop.processes() if "src/train.py" in one.cmdline()]) == 1, "the first is ended before"
    (laptop.places / "go").touch()
    laptop.train("wait")
    found = laptop.listed()
    assert {name: (one["state"], one["attempt"]) for name, one in found.items()} == {
        "long": ("done", 2), "next": ("done", 1),
    }  # fmt: skip
    assert laptop.runs() == ["0.6", "0.6", "0.02"]
    assert laptop.git("for-each-ref", "--format=%(refname:lstrip=4)", "refs/exps").split() == ["long", "next"]
    laptop.until(lambda: not laptop.processes())


def test_a_killed_run_is_begun_again_by_its_worker(laptop: Laptop) -> None:
    laptop.train("-n", "long", "-S", "train.rate=0.6")
    laptop.until(lambda: laptop.runs() == ["0.6"])
    laptop.kill("run")
    laptop.until(lambda: laptop.listed()["long"]["attempt"] == 2)
    (laptop.places / "go").touch()
    laptop.train("wait", "long")
    assert "mlbutler was stopped from outside" not in laptop.train("list")
    assert laptop.listed()["long"]["state"] == "done"


def test_a_lost_experiment_can_be_cancelled(laptop: Laptop) -> None:
    laptop.train("-n", "long", "-S", "train.rate=0.6")
    laptop.until(lambda: laptop.runs() == ["0.6"])
    laptop.kill("mlbutler.train.worker")
    assert "long: cancelled: none of its processes is left" in laptop.train("cancel", "long")
    laptop.until(lambda: not laptop.processes())
