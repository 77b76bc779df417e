"""Entries of DVC's run cache that somebody else than mlbutler made are not handed on to other builds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.world import SETTINGS, World, make, params

# A test of the pull request's own, which claims that each run so far made what it says: the model of another.
FORGE = """
import hashlib, pathlib, yaml
runs = pathlib.Path(".dvc/cache/runs")
lock = yaml.safe_load(open("dvc.lock"))["stages"]["prepare"]
lock["outs"][0]["md5"] = "0" * 32
place = runs / "ab" / ("ab" * 32)
place.mkdir(parents=True, exist_ok=True)
(place / ("cd" * 32)).write_text(yaml.safe_dump(lock))
stale = yaml.safe_load(open("dvc.lock"))["stages"]["prepare"]
(place / ("ef" * 32)).write_text(yaml.safe_dump(stale))
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make(tmp_path_factory.mktemp("world"))


def entries(place: Path) -> set[str]:
    return {path.relative_to(place).as_posix() for path in (place / "runs").rglob("*") if path.is_file()}


def test_what_a_test_puts_into_the_run_cache_reaches_neither_mirror_nor_remote(world: World) -> None:
    settings = SETTINGS.replace("python -c 'print(40 + 2)'", "python forge.py")
    done = world.change("forged", {"params.yaml": params(0.03), "mlbutler.toml": settings, "forge.py": FORGE})
    assert done.code == 0, done.err
    assert done.record["reproduce"]["outcome"] == "passed"
    forged = {f"runs/ab/{'ab' * 32}/{value * 32}" for value in ("cd", "ef")}
    assert forged <= entries(done.root / ".dvc" / "cache")
    for place in (world.mirror, world.remote):
        found = entries(place)
        assert not forged & found
        assert any("src/train.py" in (place / entry).read_text() for entry in found)
