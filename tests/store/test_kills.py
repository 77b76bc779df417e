"""Transfers that are killed at any moment, and many at once: nothing wrong is ever served, nothing is lost."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from mlbutler.store.holdings import is_complete
from mlbutler.store.interface import ObjectId
from mlbutler.store.local import LocalStore
from tests.store.world import Remote, add_directory, unsound

FILES = {f"{number:03}.bin": bytes([number]) * (2000 + 291 * number) for number in range(20)}
TIMES = 100
ROOT = Path(__file__).parents[2]


def run_with_kills(what: str, remote: Remote, cache: Path, mirror: Path, folder: ObjectId, seed: int) -> int:
    words = [what, remote.url, str(cache), str(mirror), str(seed), str(TIMES), folder.md5]
    words += map(str, [cache, mirror] if what == "bring" else [remote.root])
    done = subprocess.run(
        [sys.executable, "-m", "tests.store.killed", *words], cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=1800,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_a_hundred_kills_while_data_comes(remote: Remote, tmp_path: Path) -> None:
    folder = add_directory(remote.root, FILES)
    cache, mirror = tmp_path / "cache", tmp_path / "mirror"
    assert run_with_kills("bring", remote, cache, mirror, folder, seed=1) >= TIMES // 5
    assert unsound(cache) == []
    assert unsound(mirror) == []
    assert is_complete(LocalStore("cache", cache), [folder])


def test_a_hundred_kills_while_data_goes(remote: Remote, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    folder = add_directory(cache, FILES)
    assert run_with_kills("send", remote, cache, tmp_path / "mirror", folder, seed=2) >= TIMES // 5
    assert unsound(remote.root) == []
    assert is_complete(LocalStore("origin", remote.root), [folder])
    assert unsound(cache) == []


def test_eight_builds_fill_one_empty_mirror_at_once(remote: Remote, tmp_path: Path) -> None:
    folder = add_directory(remote.root, FILES)
    mirror = tmp_path / "mirror"
    program = (
        "import sys; from pathlib import Path; from tests.store.killed import transfer;"
        "from mlbutler.store.interface import ObjectId;"
        "sys.exit(transfer('bring', sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), ObjectId(sys.argv[4])))"
    )
    builds = [
        subprocess.Popen(
            [sys.executable, "-c", program, remote.url, str(tmp_path / f"cache{number}"), str(mirror), folder.md5],
            cwd=ROOT, stderr=subprocess.PIPE, text=True,
        )
        for number in range(8)
    ]  # fmt: skip
    pids = [str(build.pid) for build in builds]
    timer = threading.Timer(1200, lambda: subprocess.run(["kill", "-9", *pids], check=False))
    timer.start()
    try:
        said = [build.communicate()[1] for build in builds]
    finally:
        timer.cancel()
    assert [build.returncode for build in builds] == [0] * 8, said
    for place in (mirror, *(tmp_path / f"cache{number}" for number in range(8))):
        assert unsound(place) == []
        assert is_complete(LocalStore("place", place), [folder])
