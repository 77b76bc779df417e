"""`mlbutler sync` and `mlbutler push`, killed as whole processes at any moment, then run once more."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import forked_python
from tests.integration.world import World
from tests.store.world import unsound

# A hundred each, where there is time: MLBUTLER_TEST_KILLS=100
TIMES = int(os.environ.get("MLBUTLER_TEST_KILLS", "10"))
FILES = 600


@pytest.fixture
def many(world: World) -> World:
    """A project with many small files, all of them pushed."""
    folder = world.project / "data" / "many"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number:04}.txt").write_bytes(f"{number}\n".encode() * (1 + number % 300))
    world.dvc("add", "-q", "data/many")
    world.share()
    world.git(world.author, "add", "-A")
    world.git(world.author, "commit", "-qm", "many files")
    world.push("main")
    return world


def run(world: World, root: Path, words: tuple[str, ...], kill_after: float | None) -> tuple[bool, float]:
    """Start a verb and kill it and its children: was it still under way? And the seconds that it took."""
    begun = time.monotonic()
    process = forked_python.Popen(
        [sys.executable, "-m", "mlbutler", *words, "--quiet"], cwd=root, env=world.run_environ({}),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    if kill_after is not None:
        time.sleep(kill_after)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait() == -signal.SIGKILL, time.monotonic() - begun


def forget(folder: Path, moments: random.Random, share: float) -> None:
    """Lose some of the files below, as if they had never been brought."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and moments.random() < share:
            path.unlink()


def kill_often(
    world: World, root: Path, words: tuple[str, ...], moments: random.Random, begin: Callable[[], None], *stores: Path
) -> None:
    """Kill a verb, at moments of the time that it takes, until half of `TIMES` were still under way.

    Args:
        begin: makes work for it. stores: hold nothing that is broken, whenever it was killed.
    """
    killed, longest = 0, 0.0  # the last that was left to end tells how long one takes on this machine now
    for _ in range(20 * TIMES):
        begin()
        moment = moments.uniform(min(0.1, longest / 2), longest) if longest else None
        died, seconds = run(world, root, words, moment)
        killed, longest = killed + died, longest if died else seconds
        assert [unsound(store) for store in stores] == [[] for _ in stores]
        if killed == TIMES // 2:
            return
    raise AssertionError(f"killed {killed} times")


def test_sync(many: World) -> None:
    root, moments = many.clone("origin/main"), random.Random(1)

    def begin() -> None:
        forget(many.mirror / "files", moments, 0.5)
        forget(root / ".dvc" / "cache" / "files", moments, 0.7)
        shutil.rmtree(root / "data" / "many", ignore_errors=True)

    kill_often(many, root, ("sync", "--all"), moments, begin, root / ".dvc" / "cache", many.mirror)
    done = many.run(root, {}, "--all", verb="sync")
    assert done.code == 0, done.out + done.err
    names = {path.name: path.read_bytes() for path in (root / "data" / "many").iterdir()}
    assert names == {f"{n:04}.txt": f"{n}\n".encode() * (1 + n % 300) for n in range(FILES)}
    assert "up to date" in many.shell(root, sys.executable, "-m", "dvc", "status")
    assert many.git(root, "status", "--porcelain") == ""


def test_push(many: World) -> None:
    moments = random.Random(2)
    root, remote = many.project, many.remote
    kill_often(many, root, ("push",), moments, lambda: forget(remote / "files", moments, 0.6), remote)
    done = many.run(root, {}, verb="push")
    assert done.code == 0, done.out + done.err
    assert many.run(root, {}, "pushed", verb="check").code == 0
    assert "in sync" in many.shell(root, sys.executable, "-m", "dvc", "status", "-c")
    assert unsound(root / ".dvc" / "cache") == []
