"""What runs experiments is killed, as by a machine without memory: no experiment is lost, none has two results."""

from __future__ import annotations

import pytest

from tests.experiments.conftest import KEEPER, Laptop

WORKER = "mlbutler.experiments.worker"


def test_a_killed_worker_is_replaced_without_anybody(laptop: Laptop) -> None:
    laptop.train("-n", "lr", "-S", "train.rate=0.6,0.02")
    laptop.until(lambda: laptop.runs() == ["0.6"])
    laptop.kill(WORKER)
    laptop.until(lambda: laptop.runs() == ["0.6", "0.6"])
    assert len(laptop.running("src/train.py")) == 1, "the first is ended before"
    (laptop.places / "go").touch()
    laptop.until(lambda: not laptop.processes())
    assert {name: (one["state"], one["attempt"]) for name, one in laptop.list_experiments().items()} == {
        "lr-1": ("done", 2), "lr-2": ("done", 1),
    }  # fmt: skip


def test_a_worker_whose_keeper_is_killed_hands_over_to_another(laptop: Laptop) -> None:
    laptop.train("-n", "lr", "-S", "train.rate=0.6,0.7")
    laptop.until(lambda: laptop.runs() == ["0.6"])
    (before,) = laptop.running(WORKER)
    laptop.kill(KEEPER)
    laptop.train("cancel", "lr-1")
    laptop.until(lambda: laptop.runs() == ["0.6", "0.7"])
    laptop.until(lambda: len(laptop.running(WORKER)) == 1)
    (now,) = laptop.running(WORKER)
    assert now != before
    assert now.parent() in laptop.running(KEEPER)
    (laptop.places / "go").touch()
    laptop.until(lambda: not laptop.processes())
    assert laptop.list_experiments()["lr-2"]["state"] == "done"


def test_when_all_are_killed_the_next_verb_takes_it_up(laptop: Laptop) -> None:
    laptop.train("-n", "long", "-S", "train.rate=0.6")
    assert "No worker runs" not in laptop.train("list"), "its worker is at work when it has been sent"
    laptop.until(lambda: laptop.runs() == ["0.6"])
    laptop.kill(KEEPER)
    laptop.kill(WORKER)
    assert "The process that ran long is gone: `mlbutler train wait`" in laptop.train("list")
    assert laptop.list_experiments()["long"]["state"] == "lost"
    laptop.train("-n", "next", "-S", "train.rate=0.02")
    laptop.until(lambda: laptop.runs() == ["0.6", "0.6"])
    assert len(laptop.running("src/train.py")) == 1, "the first is ended before"
    (laptop.places / "go").touch()
    laptop.train("wait")
    found = laptop.list_experiments()
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
    laptop.until(lambda: laptop.list_experiments()["long"]["attempt"] == 2)
    (laptop.places / "go").touch()
    laptop.train("wait", "long")
    assert "mlbutler was stopped from outside" not in laptop.train("list")
    assert laptop.list_experiments()["long"]["state"] == "done"


@pytest.mark.parametrize("killed", [(KEEPER, WORKER), (WORKER,)])
def test_an_experiment_whose_worker_is_killed_can_be_cancelled(laptop: Laptop, killed: tuple[str, ...]) -> None:
    laptop.train("-n", "long", "-S", "train.rate=0.6")
    laptop.until(lambda: laptop.runs() == ["0.6"])
    for word in killed:
        laptop.kill(word)
    assert "long: cancelled" in laptop.train("cancel", "long")
    laptop.until(lambda: not laptop.processes())
