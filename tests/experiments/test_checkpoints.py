"""Checkpoints are kept whole or not at all, and never given to another experiment."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbutler.experiments import checkpoints
from mlbutler.experiments.checkpoints import Checkpoint, Checkpoints, Unsettled
from mlbutler.state import fingerprint

ONE, OTHER = "1" * 40, "2" * 40


@pytest.fixture
def work(tmp_path: Path) -> Path:
    root = tmp_path / "work"
    (root / "ckpt" / "deep").mkdir(parents=True)
    fill(root, 1)
    (root / "ckpt" / "latest").symlink_to("deep")
    return root


def fill(root: Path, step: int) -> None:
    """Write a checkpoint of two files that belong together, as programs do: beside it, and put in its place."""
    for name in ("ckpt/model.pt", "ckpt/deep/optimizer.pt"):
        new = root / f"{name}.new"
        new.write_text(f"{step}" * 1000)
        new.replace(root / name)


def content(root: Path) -> dict[str, str]:
    return {name: (root / name).read_text() for name in ("ckpt/model.pt", "ckpt/deep/optimizer.pt")}


def restore(store: Path, id: str, root: Path, refuse: object = None) -> Checkpoint | None:
    root.mkdir(exist_ok=True)
    return Checkpoints(store, id).restore(root, lambda paths: None)


def snapshots(store: Path, id: str = ONE) -> list[Path]:
    return sorted(store.joinpath(id).iterdir(), key=lambda path: path.name)


def test_what_is_kept_comes_back_as_it_was(work: Path, tmp_path: Path) -> None:
    (work / "ckpt" / "run.sh").write_text("#!/bin/sh")
    (work / "ckpt" / "run.sh").chmod(0o755)
    kept = Checkpoints(tmp_path / "store", ONE).save(work, ["ckpt"], 3)
    assert kept is not None
    new = tmp_path / "new"
    (new / "ckpt" / "model.pt").mkdir(parents=True)  # whatever lies there
    back = restore(tmp_path / "store", ONE, new)
    assert back is not None
    assert (back.attempt, back.saved, back.size) == (3, kept.saved, kept.size)
    assert content(new) == content(work)
    assert (new / "ckpt" / "latest").readlink() == Path("deep")
    assert os.access(new / "ckpt" / "run.sh", os.X_OK)
    assert not (new / ".mlbutler" / "checkpoint").exists()


def test_another_experiment_has_none(work: Path, tmp_path: Path) -> None:
    Checkpoints(tmp_path / "store", ONE).save(work, ["ckpt"], 1)
    assert restore(tmp_path / "store", OTHER, tmp_path / "new") is None


def test_what_has_not_changed_is_not_kept_again_and_two_are_kept(work: Path, tmp_path: Path) -> None:
    store, own = tmp_path / "store", Checkpoints(tmp_path / "store", ONE)
    assert own.save(work, ["ckpt"], 1) is not None
    assert own.save(work, ["ckpt"], 1) is None
    for step in (2, 3, 4):
        fill(work, step)
        assert own.save(work, ["ckpt"], 1) is not None
    assert len(snapshots(store)) == 2
    restore(store, ONE, tmp_path / "new")
    assert content(tmp_path / "new") == content(work)
    own.discard()
    assert restore(store, ONE, tmp_path / "new") is None


def test_a_file_that_has_not_changed_takes_no_room_twice(work: Path, tmp_path: Path) -> None:
    own = Checkpoints(tmp_path / "store", ONE)
    own.save(work, ["ckpt"], 1)
    (work / "ckpt" / "more.pt").write_text("more")
    own.save(work, ["ckpt"], 1)
    first, second = (one / "files" / "ckpt" / "model.pt" for one in snapshots(tmp_path / "store"))
    assert first.samefile(second)
    assert not first.samefile(work / "ckpt" / "model.pt"), "the program may write to its own"


def test_nothing_is_kept_where_there_is_nothing(work: Path, tmp_path: Path) -> None:
    shutil.rmtree(work / "ckpt")
    assert Checkpoints(tmp_path / "store", ONE).save(work, ["ckpt", "elsewhere"], 1) is None
    assert not (tmp_path / "store").exists()


def test_files_that_change_while_they_are_copied_are_not_kept(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = checkpoints._copy_and_hash

    def write_meanwhile(source: Path, target: Path, stop: object = None) -> tuple[int, str]:
        done = stream(source, target)
        fill(work, 9)
        return done

    monkeypatch.setattr(checkpoints, "_copy_and_hash", write_meanwhile)
    with pytest.raises(Unsettled, match="change all the time"):
        Checkpoints(tmp_path / "store", ONE).save(work, ["ckpt"], 1)
    assert snapshots(tmp_path / "store") == []


def test_where_there_is_no_room_the_program_keeps_it(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9 - 100, 100))
    with pytest.raises(Unsettled, match="no room"):
        Checkpoints(tmp_path / "store", ONE).save(work, ["ckpt"], 1)
    assert snapshots(tmp_path / "store") == []


def test_an_attempt_that_was_given_up_does_not_replace_what_a_later_one_kept(work: Path, tmp_path: Path) -> None:
    old = Checkpoints(tmp_path / "store", ONE)
    old.save(work, ["ckpt"], 1)
    later = Checkpoints(tmp_path / "store", ONE)
    for step in (2, 3):
        fill(work, step)
        later.save(work, ["ckpt"], 2)
    mine = content(work)
    fill(work, 4)
    old.save(work, ["ckpt"], 1)
    back = restore(tmp_path / "store", ONE, tmp_path / "new")
    assert back is not None
    assert (back.attempt, content(tmp_path / "new")) == (2, mine)


@given(at=st.integers(0, 5000), what=st.sampled_from(["cut", "flip", "gone"]), part=st.integers(0, 10))
@settings(deadline=None, max_examples=60)
def test_whatever_is_torn_the_one_before_it_is_brought_back(
    tmp_path_factory: pytest.TempPathFactory, at: int, what: str, part: int
) -> None:
    folder = tmp_path_factory.mktemp("torn")
    work = folder / "work"
    (work / "ckpt" / "deep").mkdir(parents=True)
    own = Checkpoints(folder / "store", ONE)
    kept = {}
    for step in (1, 2):
        fill(work, step)
        own.save(work, ["ckpt"], step)
        kept[step] = content(work)
    newest = snapshots(folder / "store")[-1]
    files = sorted(path for path in newest.rglob("*") if path.is_file())
    victim = files[part % len(files)]
    data = bytearray(victim.read_bytes())
    if what == "cut":
        victim.write_bytes(data[: at % len(data)])
    elif what == "flip":
        data[at % len(data)] ^= 1
        victim.write_bytes(data)
    else:
        victim.unlink()
    back = restore(folder / "store", ONE, folder / "new")
    assert back is not None
    assert content(folder / "new") in kept.values()
    if victim.name != "manifest.json":
        assert content(folder / "new") == kept[1]


def entry(path: str, **more: object) -> dict[str, object]:
    return {path: {"size": 1, "digest": "0" * 64, **more}}


@pytest.mark.parametrize(
    "files",
    [
        entry("../precious"), entry("/etc/x"), entry("a/../../x"), entry(".git/config"), entry("a/.DVC/config"),
        entry(".mlbutler/x"), entry(""), entry("a\0"), {"a": {"link": "/etc"}}, {"a": {"link": "../x"}},
        {"a": {"link": "b"}, **entry("a/x")}, {"a": {"link": 7}}, {"a": {"size": "1", "digest": "0"}}, {"a": 7},
        [], {}, 7,
    ],
)  # fmt: skip
def test_a_manifest_that_leads_elsewhere_is_no_snapshot(tmp_path: Path, files: object) -> None:
    folder = tmp_path / "store" / ONE / "1-1"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"attempt": 1, "saved": 1.0, "signature": "", "files": files}))
    assert restore(tmp_path / "store", ONE, tmp_path / "new") is None


def test_a_path_that_must_not_be_written_to_stays(work: Path, tmp_path: Path) -> None:
    Checkpoints(tmp_path / "store", ONE).save(work, ["ckpt"], 1)
    new = tmp_path / "new"
    new.mkdir()

    def refuse(paths: Sequence[str]) -> None:
        raise PermissionError(paths[0])

    with pytest.raises(PermissionError):
        Checkpoints(tmp_path / "store", ONE).restore(new, refuse)
    assert not (new / "ckpt").exists()


def test_those_of_experiments_that_were_given_up_go_after_a_time(work: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    for id in (ONE, OTHER):
        Checkpoints(store, id).save(work, ["ckpt"], 1)
    (store / "not ours").mkdir()
    os.utime(store / ONE, (1, 1))
    os.utime(store / "not ours", (1, 1))
    checkpoints.remove_old_checkpoints(store, 3600)
    assert sorted(one.name for one in store.iterdir()) == [OTHER, "not ours"]


SAVER = """
import sys
import time
from pathlib import Path
from mlbutler.experiments.checkpoints import Checkpoints, Unsettled
work, own = Path(sys.argv[1]), Checkpoints(Path(sys.argv[2]), sys.argv[3])
step = 0
while True:
    step += 1
    for name in ("model.pt", "deep/optimizer.pt"):
        (work / "ckpt" / f"{name}.new").write_text(f"{step}" * 100_000)
        (work / "ckpt" / f"{name}.new").replace(work / "ckpt" / name)
    own.save(work, ["ckpt"], 1)
    print(step, flush=True)
"""


@pytest.mark.parametrize("pause", [0.0, 0.003, 0.011, 0.02])
def test_a_kill_at_any_moment_leaves_a_whole_one(work: Path, tmp_path: Path, pause: float) -> None:
    store = tmp_path / "store"
    with subprocess.Popen(
        [sys.executable, "-c", SAVER, str(work), str(store), ONE], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for _ in range(3):
            process.stdout.readline()
        try:
            process.wait(pause)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
    assert restore(store, ONE, tmp_path / "new") is not None
    model, optimizer = content(tmp_path / "new").values()
    assert model == optimizer
    own = Checkpoints(store, ONE)
    fill(work, 7)
    own.save(work, ["ckpt"], 2)
    assert not list((store / ONE).glob(".new-*")), "what a kill left is gone"


def test_a_file_that_is_written_anew_within_one_step_of_the_clock_is_kept(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the clock of file times moves in steps, both states of the file have the same times."""
    now, own, file = time.time_ns(), Checkpoints(tmp_path / "store", ONE), work / "ckpt" / "model.pt"
    lstat = Path.lstat

    def in_one_step(path: Path) -> object:
        found = lstat(path)
        same = {"st_mode": found.st_mode, "st_ino": found.st_ino, "st_size": found.st_size, "st_nlink": found.st_nlink}
        return SimpleNamespace(**same, st_mtime_ns=now, st_ctime_ns=now)

    monkeypatch.setattr(Path, "lstat", in_one_step)
    monkeypatch.setattr(fingerprint, "time", SimpleNamespace(time=lambda: now / 1e9, sleep=lambda seconds: None))
    own.save(work, ["ckpt"], 1)
    file.write_text("2" * 1000)
    assert own.save(work, ["ckpt"], 1) is not None
    restore(tmp_path / "store", ONE, tmp_path / "new")
    assert content(tmp_path / "new") == content(work)


def test_a_file_that_got_its_times_back_is_kept_anew(work: Path, tmp_path: Path) -> None:
    own, file = Checkpoints(tmp_path / "store", ONE), work / "ckpt" / "model.pt"
    own.save(work, ["ckpt"], 1)
    before = file.stat()
    file.write_text("2" * 1000)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert own.save(work, ["ckpt"], 1) is not None
    restore(tmp_path / "store", ONE, tmp_path / "new")
    assert content(tmp_path / "new") == content(work)


def test_files_whose_times_lie_ahead_are_kept_and_copied_each_time(work: Path, tmp_path: Path) -> None:
    own, file = Checkpoints(tmp_path / "store", ONE), work / "ckpt" / "model.pt"
    ahead = (time.time() + 3600,) * 2
    os.utime(file, ahead)
    assert own.save(work, ["ckpt"], 1) is not None
    assert own.save(work, ["ckpt"], 1) is not None, "whether it changed is not known"
    first, second = snapshots(tmp_path / "store")
    assert not (first / "files/ckpt/model.pt").samefile(second / "files/ckpt/model.pt")
    assert (first / "files/ckpt/deep/optimizer.pt").samefile(second / "files/ckpt/deep/optimizer.pt")
    restore(tmp_path / "store", ONE, tmp_path / "new")
    assert content(tmp_path / "new") == content(work)
