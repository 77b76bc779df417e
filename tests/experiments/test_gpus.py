"""GPUs are given out: each to one experiment at a time, and released when the process that has it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mlbutler.errors import OutsideError
from mlbutler.experiments.gpu_lease import GpuLease, GpuRequest
from mlbutler.experiments.gpus import (
    GpuUtilization,
    parse_gpus,
    processes_on,
    read_utilization,
    select_gpus,
    visible_gpus,
)
from tests.experiments.played_gpus import PlayedGpus, uuid

MIG = """GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)
  MIG 1g.5gb      Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)
  MIG 3g.20gb     Device  1: (UUID: MIG-GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77/2/0)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-0a1b2c3d-0000-1111-2222-333344445555)
"""


@pytest.fixture
def machine(tmp_path: Path) -> PlayedGpus:
    return PlayedGpus(tmp_path / "machine", 3)


def wish(machine: PlayedGpus, count: int, **environ: str) -> GpuRequest:
    return GpuRequest(count, machine.environ(**environ), machine.locks)


def take(machine: PlayedGpus, count: int, **environ: str) -> GpuLease | None:
    asked = wish(machine, count, **environ)
    try:
        return asked.poll()
    finally:
        asked.close()


def names(lease: GpuLease | None) -> list[str] | None:
    return None if lease is None else [gpu.uuid for gpu in lease.gpus]


def test_parts_of_a_divided_gpu_are_given_out_and_not_the_gpu() -> None:
    found = parse_gpus(MIG)
    assert [(gpu.name, gpu.index) for gpu in found] == [
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", 0), ("NVIDIA A100-SXM4-40GB MIG 3g.20gb", 0), ("NVIDIA H100 80GB HBM3", 1),
    ]  # fmt: skip
    assert {gpu.whole for gpu in found[:2]} == {"GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77"}


@pytest.mark.parametrize(
    ("bound", "left"),
    [
        ("0,1", [0, 1, 2]), ("1", [2]), ("1,0", [2, 0, 1]), ("", []), ("-1", []), ("NoDevFiles", []), ("7", []),
        ("1,7,0", [2]), ("1,-1,0", [2]), ("GPU-0a1b2c3d", [2]), (" 1 , GPU-5d5b", [2, 0, 1]),
        ("MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f", [0]), ("MIG-GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77/2/0", [1]),
        ("all", []), ("0,0", [0, 1]),
    ],
)  # fmt: skip
def test_cuda_visible_devices_is_a_bound_as_cuda_reads_it(bound: str, left: list[int]) -> None:
    there = parse_gpus(MIG)
    assert select_gpus(there, bound) == tuple(there[number] for number in left)


def test_two_get_different_ones_and_a_third_waits_until_one_is_given_back(machine: PlayedGpus) -> None:
    first, second = take(machine, 2), take(machine, 1)
    assert names(first) == [uuid(0), uuid(1)]
    assert names(second) == [uuid(2)]
    waiting = wish(machine, 1)
    assert waiting.poll() is None
    assert second is not None
    with second:
        assert waiting.poll() is None
    assert names(waiting.poll()) == [uuid(2)]


def test_what_it_gets_is_said_to_cuda_and_to_containers(machine: PlayedGpus) -> None:
    lease = take(machine, 2, CUDA_VISIBLE_DEVICES="2,1")
    assert lease is not None
    named = f"{uuid(2)},{uuid(1)}"
    assert lease.environment() == {"CUDA_VISIBLE_DEVICES": named, "NVIDIA_VISIBLE_DEVICES": named}
    assert GpuLease((), ()).environment() == {}


def test_one_that_others_use_without_a_lease_is_given_out_last(machine: PlayedGpus) -> None:
    machine.uses(f"{uuid(0)}, 90, 30000\n{uuid(1)}, 0, 500\n{uuid(2)}, 0, 3\n")
    assert names(take(machine, 2)) == [uuid(1), uuid(2)]


def test_who_needs_many_is_not_passed_by_those_who_need_few(machine: PlayedGpus) -> None:
    first = take(machine, 2)
    many, few = wish(machine, 3), wish(machine, 1)
    assert many.poll() is None
    assert few.poll() is None, "the last free one is kept for who was first"
    assert first is not None
    first.__exit__(None, None, None)
    assert names(many.poll()) == [uuid(0), uuid(1), uuid(2)]
    many.close()
    assert few.poll() is None


@pytest.mark.parametrize(
    ("environ", "said", "remedy"),
    [
        ({}, "only 3", "nvidia-smi -L"),
        ({"CUDA_VISIBLE_DEVICES": "1"}, "only 1", "CUDA_VISIBLE_DEVICES is '1'"),
        ({"CUDA_VISIBLE_DEVICES": ""}, "no GPU", "CUDA_VISIBLE_DEVICES is ''"),
        ({"PATH": "/nowhere"}, "no GPU", "nvidia-smi -L"),
    ],
)
def test_more_than_there_are_is_an_error_at_once(
    machine: PlayedGpus, environ: dict[str, str], said: str, remedy: str
) -> None:
    with pytest.raises(OutsideError, match=f"--gpus 4: {said}") as error:
        GpuRequest(4, machine.environ() | environ, machine.locks).poll()
    assert remedy in error.value.remedy


def test_a_driver_that_fails_is_an_error_that_says_what_it_said(machine: PlayedGpus) -> None:
    machine.broken("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n")
    with pytest.raises(OutsideError, match="couldn't communicate"):
        take(machine, 1)
    assert read_utilization(machine.environ()) == {}
    assert processes_on(machine.environ(), []) == frozenset()


def test_no_devices_is_none(machine: PlayedGpus) -> None:
    machine.listing("No devices were found\n")
    assert visible_gpus(machine.environ()) == ()


HOLDER = """
import subprocess, sys, os
from pathlib import Path
from mlbutler.experiments.gpu_lease import GpuRequest
lease = GpuRequest(1, os.environ, Path(sys.argv[1])).poll()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], pass_fds=lease.fds) \
    if sys.argv[2] == "child" else None
print(child.pid if child else 0, flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(machine: PlayedGpus, kind: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(machine.locks), kind], env=os.environ | machine.environ(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def test_the_lease_of_a_killed_process_is_free(machine: PlayedGpus) -> None:
    with holder(machine, "alone") as (process, _):
        assert take(machine, 3) is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert names(take(machine, 3)) == [uuid(0), uuid(1), uuid(2)]


def test_what_still_works_keeps_its_lease_when_who_started_it_is_killed(machine: PlayedGpus) -> None:
    with holder(machine, "child") as (process, child):
        process.send_signal(signal.SIGKILL)
        process.wait()
        waiting = wish(machine, 3)
        assert waiting.poll() is None
        os.kill(child, signal.SIGKILL)
        while (lease := waiting.poll()) is None:  # the kernel ends it in its own time
            pass
        assert len(lease.gpus) == 3


def test_the_files_are_for_every_user_and_no_link_is_followed(machine: PlayedGpus, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        lease = take(machine, 1)
    finally:
        os.umask(before)
    assert lease is not None
    (file,) = [one for one in machine.locks.iterdir() if uuid(0) in one.name]
    assert file.stat().st_mode & 0o777 == 0o666
    precious = tmp_path / "precious"
    precious.write_text("mine")
    planted = machine.locks / file.name.replace(uuid(0), uuid(1))
    planted.unlink()
    planted.symlink_to(precious)
    with pytest.raises(OutsideError, match="cannot be given out") as error:
        take(machine, 1)
    assert str(planted) in error.value.remedy
    planted.unlink()
    os.mkfifo(planted)
    with pytest.raises(OutsideError, match="it is not a file"):
        take(machine, 1)


def test_a_folder_that_is_missing_is_an_error(machine: PlayedGpus) -> None:
    with pytest.raises(OutsideError, match="cannot be given out"):
        GpuRequest(1, machine.environ(), machine.locks / "missing").poll()


def test_how_busy_each_is_and_whose_memory_is_on_them(machine: PlayedGpus) -> None:
    machine.uses(f"{uuid(0)}, 45, 1000\n{uuid(1)}, [N/A], [N/A]\n")
    machine.apps(f"{uuid(0)}, 4711\n{uuid(1)}, 4712\nnonsense\n")
    assert read_utilization(machine.environ()) == {
        uuid(0): GpuUtilization(45.0, 1000 << 20),
        uuid(1): GpuUtilization(None, None),
    }
    there = visible_gpus(machine.environ())
    assert processes_on(machine.environ(), there[:1]) == {4711}
