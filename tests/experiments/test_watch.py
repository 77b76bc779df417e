"""Output, metrics and GPUs are signs of life; without any of them an experiment is stalled."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mlbutler.experiments.gpus import GpuDevice, GpuUtilization
from mlbutler.experiments.watch import IDLE, Watch

GPU = GpuDevice("GPU-0", "A100", 0, "GPU-0")
PART = GpuDevice("MIG-0", "A100 MIG 1g.5gb", 1, "GPU-1")


class Bench:
    """A watch with a clock, files and a driver that the test moves."""

    def __init__(self, root: Path, stall: float | None = 60.0) -> None:
        self.root, self.now, self.uses, self.said = root, 0.0, dict[str, GpuUtilization](), list[str]()
        self.watch = Watch(
            stall, (GPU, PART), lambda: self.uses, root, lambda: ["metrics.json"], self.said.append, lambda: self.now
        )

    def later(self, seconds: float) -> float | None:
        self.now += seconds
        return self.watch.poll()

    def write(self, text: str) -> None:
        path = self.root / "metrics.json"
        path.write_text(text)
        future = time.time_ns() + int(self.now * 1e9) + 1
        os.utime(path, ns=(future, future))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_without_a_sign_of_life_it_is_stalled(bench: Bench) -> None:
    assert bench.later(59) is None
    assert bench.later(1) == 60
    bench.watch.note_output()
    assert bench.later(59) is None


def test_it_is_never_stalled_where_no_time_is_set(tmp_path: Path) -> None:
    assert Bench(tmp_path, None).later(10**6) is None


def test_a_metric_that_changes_is_one(bench: Bench) -> None:
    for step in range(3):
        bench.write(f'{{"loss": {step}, "done": false, "name": "x", "deep": {{"a": 1}}}}')
        assert bench.later(50) is None
        assert bench.watch.metrics == {"metrics.json:loss": step, "metrics.json:deep.a": 1.0}
    assert bench.later(60) is not None


def test_a_metric_that_was_checked_out_with_the_code_is_none(bench: Bench) -> None:
    bench.write('{"loss": 1}')
    os.utime(bench.root / "metrics.json", (1, 1))
    bench.later(5)
    assert bench.watch.metrics == {}


def test_a_torn_metric_file_leaves_what_was_known(bench: Bench) -> None:
    bench.write('{"loss": 1}')
    bench.later(5)
    bench.write('{"loss": 2, "acc')
    bench.later(5)
    assert bench.watch.metrics == {"metrics.json:loss": 1.0}
    bench.write('{"loss": 2}')
    bench.later(5)
    assert bench.watch.metrics == {"metrics.json:loss": 2.0}


def test_a_busy_gpu_is_one_and_an_idle_one_is_said_once(bench: Bench) -> None:
    bench.uses = {"GPU-0": GpuUtilization(90.0, 1), "GPU-1": GpuUtilization(None, None)}
    for _ in range(4):
        assert bench.later(50) is None
    bench.uses["GPU-0"] = GpuUtilization(0.0, 1)
    assert bench.later(60) is not None
    for _ in range(4):
        bench.later(IDLE / 3)
    assert bench.said == ["GPU 0 (A100) has done nothing for 16 min."]
    bench.uses["GPU-0"] = GpuUtilization(50.0, 1)
    assert bench.later(40) is None
