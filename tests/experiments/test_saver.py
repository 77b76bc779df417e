"""Snapshots are taken of what nobody is writing, and of what a stage wrote because it was asked to end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlbutler.experiments.checkpoints import Checkpoints
from mlbutler.experiments.saver import CheckpointSaver

ID = "1" * 40


class Bench:
    def __init__(self, folder: Path) -> None:
        self.root, self.store, self.said = folder / "work", folder / "store", list[str]()
        (self.root / "state").mkdir(parents=True)
        self.file = self.root / "state" / "step"
        self.saver = CheckpointSaver(
            Checkpoints(self.store, ID), self.root, lambda: ["state"], 1, 0.01, self.said.append
        )

    def write(self, when: float) -> None:
        self.file.write_text("1")
        os.utime(self.file, (when, when))

    def count_kept(self) -> int:
        return len(list(self.store.glob("*/*/manifest.json")))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize(
    ("written", "by_itself", "kept"),
    [
        (-60, True, 1),  # long before
        (-60, False, 1),
        (0, True, 0),  # at the moment when it was asked: it may have been cut short
        (2, True, 1),  # because it was asked
        (2, False, 0),  # and was killed all the same
    ],
)
def test_the_last_one_is_taken_of_what_is_whole(bench: Bench, written: int, by_itself: bool, kept: int) -> None:
    asked = time.time() - 10
    bench.write(asked + written)
    bench.saver.save_last(asked, by_itself=by_itself)
    assert bench.count_kept() == kept


WRITER = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "f = open({path!r}, 'a'); print(1, flush=True); input()"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print("open", flush=True)
sys.stdin.readline()
child.communicate(b"\\n")
print("closed", flush=True)
sys.stdin.readline()
"""


def test_what_is_open_for_writing_is_waited_for(bench: Bench) -> None:
    bench.write(time.time() - 60)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER.format(path=str(bench.file))], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        time.sleep(0.05)  # it is due
        bench.saver.poll(process.pid)
        bench.saver.close()
        assert bench.count_kept() == 0
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "closed\n"
        bench.saver = CheckpointSaver(
            Checkpoints(bench.store, ID), bench.root, lambda: ["state"], 1, 0.01, bench.said.append
        )
        time.sleep(0.05)
        bench.saver.poll(process.pid)
        end = time.monotonic() + 300
        while bench.count_kept() == 0:
            assert time.monotonic() < end, bench.said
        process.stdin.write("\n")
        process.stdin.flush()
    bench.saver.close()


def test_what_has_just_changed_is_waited_for(bench: Bench) -> None:
    time.sleep(0.05)
    bench.write(time.time() + 60)
    bench.saver.poll(os.getpid())
    bench.saver.close()
    assert bench.count_kept() == 0


@pytest.mark.parametrize("files", [1, 2])
def test_one_file_is_kept_however_often_it_is_replaced_and_of_several_the_log_says_why_not(
    tmp_path: Path, files: int
) -> None:
    bench = Bench(tmp_path)
    bench.saver = CheckpointSaver(
        Checkpoints(bench.store, ID), bench.root, lambda: ["state"], 1, 0.01, bench.said.append
    )
    bench.saver._quiet = 1e9  # as files that change all the time
    for number in range(files):
        (bench.root / "state" / f"{number}").write_text("1")
    time.sleep(0.05)  # it is due, and was for a while
    for _ in range(2):
        bench.saver.poll(os.getpid())
    if bench.saver._thread is not None:
        bench.saver._thread.join()
    assert bench.count_kept() == (1 if files == 1 else 0)
    assert bench.said == [
        "Checkpoint kept: 1 B."
        if files == 1
        else "The checkpoints could not be kept: some of their files are always being written."
    ]
