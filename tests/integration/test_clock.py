"""A clock that jumps, a year ahead and back, between the commands of an agent."""

from __future__ import annotations

import contextlib
import shutil
import sys
from pathlib import Path

import pytest

from tests.integration.world import World
from tests.store.world import Remote

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)

pytestmark = pytest.mark.skipif(LIBRARY is None, reason="faketime is not installed (apt-get install faketime)")


def at(days: int) -> dict[str, str]:
    """The environment of a process whose clock is wrong by so many days."""
    if not days:
        return {}
    return {"LD_PRELOAD": str(LIBRARY), "FAKETIME": f"{days:+}d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def test_data_stays_what_it_is(world: World) -> None:
    root = world.clone("origin/main")
    for days in (400, 0, -400, 4000, 0):
        done = world.run(root, at(days), "--all", verb="sync")
        assert done.code == 0, done.out + done.err
        assert world.run(root, at(days), verb="check").code == 0
        assert "nothing is stale" in world.run(root, at(days), verb="plan").out
    assert "up to date" in world.shell(root, sys.executable, "-m", "dvc", "status")
    assert world.git(root, "status", "--porcelain") == ""
    changed = min((root / "data" / "raw").iterdir())
    changed.unlink()
    changed.write_text("changed\n")
    for days in (-400, 400, 0):
        assert "nothing is stale" not in world.run(root, at(days), verb="plan").out


@pytest.mark.parametrize(("days", "code"), [(400, 1), (-400, 1), (0, 0)])
def test_what_was_pushed_at_another_time_is_asked_again(world: World, days: int, code: int) -> None:
    with contextlib.closing(Remote(world.remote)) as remote:
        root = world.clone("origin/main")
        world.shell(root, sys.executable, "-m", "dvc", "remote", "modify", "--local", "origin", "url", remote.url)
        assert world.run(root, at(days), "pushed", verb="check").code == 0
        shutil.rmtree(world.remote / "files")
        done = world.run(root, at(0), "pushed", verb="check")
    assert done.code == code, done.out + done.err
    assert ("not on the remote" in done.err) == bool(code)
