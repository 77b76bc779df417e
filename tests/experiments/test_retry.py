"""`mlbutler train retry` runs the very same input again, and nothing that has a result."""

from __future__ import annotations

from tests.experiments.conftest import Laptop


def test_what_ended_without_a_result_runs_again_as_it_was_sent(laptop: Laptop) -> None:
    laptop.train("-n", "lr", "-S", "train.rate=0.6,0.5,0.02")
    laptop.until(lambda: laptop.runs() == ["0.6"])
    laptop.train("cancel", "lr-1")
    laptop.train("wait", "lr", code=1)
    before = laptop.list_experiments()
    assert [one["state"] for one in before.values()] == ["cancelled", "failed", "done"]

    (laptop.root / "params.yaml").write_text("train: {rate: 0.04}\n")
    (laptop.places / "go").touch()
    some = laptop.train("retry", "lr", "--failed")
    assert "lr-1 is cancelled: it has not failed" in some
    assert "lr-2 waits for another attempt" in some
    assert "lr-3 is done already" in some
    assert laptop.train("wait", "lr-2", code=1)
    again = laptop.train("logs", "lr-2")
    assert "training at 0.5\n" in again
    assert "\ndiverged\n" in again
    assert "1 experiment sent again" in laptop.train("retry", "lr-1")
    laptop.train("wait", "lr-1")
    after = laptop.list_experiments()
    assert [after[name]["state"] for name in ("lr-1", "lr-2", "lr-3")] == ["done", "failed", "done"]
    assert {name: one["input"] for name, one in after.items()} == {name: one["input"] for name, one in before.items()}
    assert laptop.runs() == ["0.6", "0.5", "0.02", "0.5", "0.6"]
    assert "Nothing to run again" in laptop.train("retry", "lr-1", "lr-3")
    assert "Name the experiments, or pass --failed" in laptop.train("retry", code=2)

    laptop.world.dvc("exp", "remove", "lr-3")
    assert "lr-3 waits for another attempt" in laptop.train("retry", "lr-3")
    laptop.train("wait")
    assert laptop.list_experiments()["lr-3"]["state"] == "done"
    laptop.git("show", "-s", f"refs/exps/{before['lr-3']['baseline'][:2]}/{before['lr-3']['baseline'][2:]}/lr-3")
