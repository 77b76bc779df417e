from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlbutler.state.segments import Segment
from mlbutler.store.interface import ObjectId
from mlbutler.store.upkeep import uses

ONE, TWO = ObjectId("a" * 32), ObjectId("b" * 32 + ".dir", legacy=True)
HOLDER = """
import sys, time
from pathlib import Path
from mlbutler.store.interface import ObjectId
from mlbutler.store.upkeep import uses
held = uses.acquire(Path(sys.argv[1]), [ObjectId("a" * 32)])
print("held", flush=True)
time.sleep(999)
"""


def test_a_build_counts_as_running_until_it_ends(tmp_path: Path) -> None:
    began = time.time()
    held = uses.acquire(tmp_path, [ONE, TWO])
    found = uses.read_uses(tmp_path)
    assert (set(found.running), found.builds) == ({ONE, TWO}, 1)
    assert began - 1 < found.last[TWO] <= time.time()
    held.close()
    found = uses.read_uses(tmp_path)
    assert (found.running, found.builds, set(found.last)) == (frozenset(), 0, {ONE, TWO})


def test_an_ephemeral_lease_is_seen_while_its_build_runs_and_leaves_nothing(tmp_path: Path) -> None:
    program = HOLDER.replace("])\nprint", "], ephemeral=True)\nprint").replace("time.sleep(999)", "sys.stdin.read()")
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    assert uses.read_uses(tmp_path).running == {ONE}
    process.communicate(timeout=600)
    assert list((tmp_path / uses.FOLDER).iterdir()) == []


def test_a_build_that_is_killed_runs_no_more(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    assert uses.read_uses(tmp_path).running == {ONE}
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert uses.read_uses(tmp_path).running == frozenset()
    assert set(uses.read_uses(tmp_path).last) == {ONE}


def test_merging_keeps_what_is_known_and_whoever_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    uses.acquire(tmp_path, [ONE, TWO]).close()
    monkeypatch.setattr(time, "time", lambda: 2000.0)
    uses.acquire(tmp_path, [ONE]).close()
    running = uses.acquire(tmp_path, [TWO])
    uses.merge(tmp_path)
    assert len(list((tmp_path / uses.FOLDER).iterdir())) == 2
    assert uses.read_uses(tmp_path).last == {ONE: 2000.0, TWO: 2000.0}
    assert uses.read_uses(tmp_path).running == {TWO}
    running.close()
    uses.merge(tmp_path, gone=[TWO])
    assert uses.read_uses(tmp_path).last == {ONE: 2000.0}


def test_many_builds_leave_few_files(tmp_path: Path) -> None:
    for number in range(450):
        uses.acquire(tmp_path, [ObjectId(f"{number:032x}")]).close()
    assert len(list((tmp_path / uses.FOLDER).iterdir())) < 300
    assert len(uses.read_uses(tmp_path).last) == 450


def test_a_clock_that_was_ahead_keeps_nothing_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as ahead:
        ahead.setattr(time, "time", lambda: 9e9)
        uses.acquire(tmp_path, [ONE]).close()
    assert uses.read_uses(tmp_path).last[ONE] <= time.time()


@pytest.mark.parametrize("rows", [{"../../etc/passwd": 1.0}, {"files/md5/zz/1": 1.0}, {ONE.key: "x"}, {TWO.key: None}])
def test_rows_that_make_no_sense_are_passed_over(tmp_path: Path, rows: dict[str, object]) -> None:
    uses.acquire(tmp_path, [ONE]).close()
    Segment(tmp_path / "mlbutler", "uses", name="1-a").replace(rows)
    assert set(uses.read_uses(tmp_path).last) == {ONE}
    uses.merge(tmp_path)
    assert set(uses.read_uses(tmp_path).last) == {ONE}


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff"])
def test_files_that_make_no_sense_are_passed_over(tmp_path: Path, content: bytes) -> None:
    uses.acquire(tmp_path, [ONE]).close()
    for name in ("1-a", "merged"):
        (tmp_path / uses.FOLDER / name).write_bytes(content)
    assert set(uses.read_uses(tmp_path).last) == {ONE}
    uses.merge(tmp_path)
    assert set(uses.read_uses(tmp_path).last) == {ONE}


def test_a_mirror_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "mlbutler").write_text("a file where the folder should be")
    uses.acquire(tmp_path, [ONE]).close()
    uses.acquire(tmp_path / "nowhere", [ONE]).close()
    assert not (tmp_path / "nowhere").exists()
    assert uses.read_uses(tmp_path).last == {}
