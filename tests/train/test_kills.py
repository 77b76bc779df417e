"""What runs experiments is killed, as by a machine without memory: no experiment is lost, none has two results."""

from __future__ import annotations

from tests.train.conftest import Laptop


def test_a_killed_worker_leaves_an_experiment_that_is_taken_up(laptop: Laptop) -> None:
    laptop.train("-n", "long", "-S", "train.rate=0.6,0.02")
    laptop.until(lambda: laptop.runs() == ["0.6"])
    laptop.kill("mlbutler.train.worker")
    assert "The process that ran long-1 is gone: `mlbutler train wait`" in laptop.train("list")
    assert laptop.listed()["long-1"]["state"] == "lost"
    (laptop.places / "go").touch()  # for the one that takes its place; the first has to be gone before
    waited = laptop.train("wait", "long")
    assert "attempt 1 was lost: the process that ran it is gone" in waited
    found = laptop.listed()
    assert [(one["state"], one["attempt"]) for one in found.values()] == [("done", 2), ("done", 1)]
    assert sorted(laptop.git("for-each-ref", "--format=%(refname:lstrip=4)", "refs/exps").split()) == [
        "long-1",
        "long-2",
    ]
    laptop.until(lambda: not laptop.processes())


def test_a_killed_run_is_begun_again_by_its_worker(laptop: Laptop) -> None:
    laptop.train("-n", "long", "-S", "train.rate=0.6")
    laptop.until(lambda: laptop.runs() == ["0.6"])
    laptop.kill("run")
    laptop.until(lambda: laptop.listed()["long"]["attempt"] == 2)
    (laptop.places / "go").touch()
    laptop.train("wait", "long")
    assert "mlbutler run was stopped from outside" not in laptop.train("list")
    assert laptop.listed()["long"]["state"] == "done"


def test_a_lost_experiment_can_be_cancelled(laptop: Laptop) -> None:
    laptop.train("-n", "long", "-S", "train.rate=0.6")
    laptop.until(lambda: laptop.runs() == ["0.6"])
    laptop.kill("mlbutler.train.worker")
    assert "long: cancelled: none of its processes is left" in laptop.train("cancel", "long")
    assert not laptop.processes()
