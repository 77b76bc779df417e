"""Experiments with GPUs, on a machine whose nvidia-smi is played."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.experiments.conftest import Laptop
from tests.experiments.played_gpus import PlayedGpus, uuid


@pytest.fixture
def machine(laptop: Laptop, tmp_path: Path) -> PlayedGpus:
    played = PlayedGpus(tmp_path / "machine", 1)
    laptop.world.environ |= played.environ(MLBUTLER_TRAIN_GPU_LOCKS=str(played.locks))
    return played


def test_a_second_experiment_waits_for_the_gpu_of_the_first(laptop: Laptop, machine: PlayedGpus) -> None:
    laptop.train("-n", "lr", "-S", "train.rate=0.6,0.7", "-j", "2", "--gpus", "1")
    laptop.until(lambda: bool(laptop.runs()) and any(one["reason"] for one in laptop.list_experiments().values()))
    found = laptop.list_experiments()
    (waits,) = [one for one in found.values() if one["state"] == "waiting"]
    (runs,) = [one for one in found.values() if one is not waits]
    assert waits["reason"] == "for a GPU: of 1 too few are free"
    assert f"{waits['name']}  waiting" in laptop.train("list")
    laptop.train("cancel", runs["name"])
    cancelled = laptop.list_experiments()[runs["name"]]["reason"]
    assert cancelled.endswith("none of its processes is left; no process of it holds GPU memory")
    laptop.until(lambda: len(laptop.runs()) == 2)
    laptop.kill("mlbutler.experiments.worker")
    laptop.until(lambda: len(laptop.runs()) == 3)
    (laptop.places / "go").touch()
    laptop.train("wait", waits["name"])
    log = laptop.train("logs", waits["name"])
    assert f"devices {uuid(0)} {uuid(0)}" in log
    assert f"It has GPU 0 (NVIDIA A100-SXM4-40GB, {uuid(0)})." in log
    assert "no process of it holds GPU memory" in log


def test_more_gpus_than_there_are_is_refused_before_anything_is_sent(laptop: Laptop, machine: PlayedGpus) -> None:
    refused = laptop.train("-n", "lr", "--gpus", "2", code=3)
    assert "--gpus 2: only 1 can be seen on this machine" in refused
    assert "nvidia-smi -L" in refused
    assert laptop.list_experiments() == {}


def test_gpus_that_are_gone_when_its_turn_comes_end_it_with_the_reason(laptop: Laptop, machine: PlayedGpus) -> None:
    laptop.train("-n", "lr", "-S", "train.rate=0.6,0.7", "--gpus", "1")
    laptop.until(lambda: len(laptop.runs()) == 1)
    machine.broken("NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.")
    (laptop.places / "go").touch()
    laptop.train("wait", code=3)
    assert laptop.list_experiments()["lr-2"]["state"] == "not set up"
    assert "could not communicate" in laptop.list_experiments()["lr-2"]["reason"]
