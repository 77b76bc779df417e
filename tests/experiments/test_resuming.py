"""An attempt goes on from the checkpoint of the one before, and says so; one that does nothing is shown as stalled."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from tests.experiments.conftest import Laptop

TRAIN = """
import json, os, pathlib, time, yaml
places, state = pathlib.Path(os.environ["PLACES"]), pathlib.Path("state")
state.mkdir(exist_ok=True)
file = state / "step"
step = int(file.read_text()) if file.exists() else 0
with open(places / "runs.log", "a") as log:
    log.write(f"{step}\\n")
while step < 3:
    step += 1
    (state / "new").write_text(str(step))
    (state / "new").replace(file)
until = time.monotonic() + 600
while not (places / "go").exists() and time.monotonic() < until:
    time.sleep(0.05)
pathlib.Path("model.txt").write_text("model")
json.dump({"accuracy": step}, open("metrics.json", "w"))
pathlib.Path("curve.csv").write_text("step,loss\\n0,1\\n")
"""


def kept_steps(folder: Path) -> list[str]:
    """Return the step of each checkpoint that is kept whole."""
    found = []
    for manifest in folder.glob("*/*/manifest.json"):
        with suppress(FileNotFoundError):  # a newer one has taken its place
            found.append((manifest.parent / "files" / "state" / "step").read_text())
    return found


@pytest.mark.parametrize("kind", ["persist", "setting"])
def test_a_killed_attempt_is_resumed_from_its_checkpoint(laptop: Laptop, kind: str) -> None:
    (laptop.root / "src" / "train.py").write_text(TRAIN)
    laptop.world.environ["MLBUTLER_TRAIN_CHECKPOINT_EVERY"] = "1"
    if kind == "persist":
        dvc_yaml = laptop.root / "dvc.yaml"
        dvc_yaml.write_text(dvc_yaml.read_text().replace("[model.txt]", "[model.txt, {state: {persist: true}}]"))
    else:
        laptop.world.environ["MLBUTLER_TRAIN_CHECKPOINTS"] = '["state"]'
    laptop.train("-n", "long")
    kept = laptop.root / ".mlbutler" / "train" / "checkpoints"
    laptop.until(lambda: "3" in kept_steps(kept))
    laptop.kill("mlbutler.experiments.worker")
    laptop.until(lambda: len(laptop.runs()) == 2)
    (laptop.places / "go").touch()
    laptop.train("wait")
    assert laptop.runs() == ["0", "3"]
    one = laptop.list_experiments()["long"]
    assert (one["state"], one["attempt"]) == ("done", 2)
    assert one["resumed"].startswith("attempt 1, checkpoint of 20")
    assert f"resumed    from {one['resumed']}" in laptop.train("show", "long")
    assert f"It is resumed from {one['resumed']}." in laptop.train("logs", "long")
    assert f"Mlbutler-Resumed: {one['resumed']}" in laptop.git("show", "-s", "--format=%B", one["result"])
    assert not list(kept.glob("*")), "what is done needs none"


def test_one_that_does_nothing_is_stalled_until_it_goes_on(laptop: Laptop) -> None:
    laptop.world.environ["MLBUTLER_TRAIN_STALL"] = "2"
    laptop.train("-n", "silent", "-S", "train.rate=0.6")
    laptop.until(lambda: laptop.runs() == ["0.6"] and "devices" in laptop.train("logs", "silent"))
    laptop.until(lambda: "no output, change of a metric or GPU use for" in laptop.train("show", "silent"))
    laptop.until(lambda: "silent  stalled" in laptop.train("list"))
    (laptop.places / "go").touch()
    laptop.train("wait")
    assert laptop.list_experiments()["silent"]["state"] == "done"
    assert "Nothing has happened for" in laptop.train("logs", "silent")
