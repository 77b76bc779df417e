"""Entries of DVC's run cache that somebody else than mlbutler made are neither taken nor handed on by a CI server."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from tests.integration.world import PREPARE, SETTINGS, TESTED, Run, World, make, params

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
    settings = SETTINGS.replace(TESTED, "python forge.py")
    done = world.change("forged", {"params.yaml": params(0.03), "mlbutler.toml": settings, "forge.py": FORGE})
    assert done.code == 0, done.err
    assert done.record["reproduce"]["outcome"] == "passed"
    forged = {f"runs/ab/{'ab' * 32}/{value * 32}" for value in ("cd", "ef")}
    assert forged <= entries(done.root / ".dvc" / "cache")
    for place in (world.mirror, world.remote):
        found = entries(place)
        assert not forged & found
        assert any("src/train.py" in (place / entry).read_text() for entry in found)


# ------------------------------------------------------------------------------------------- the taking side

BETTER = b'{"accuracy": 0.999, "words": 1}'
# Code of the pull request that puts files where it likes.
PLANT = """
import json, os, pathlib
for path, text in json.load(open("planted.json")).items():
    os.makedirs(os.path.dirname(path), exist_ok=True)
    pathlib.Path(path).write_bytes(bytes.fromhex(text))
"""


def train_entry(root: Path, rate: float) -> Path:
    """DVC's own entry of the run of `train` with this parameter."""
    texts = {path: path.read_text() for path in (root / ".dvc" / "cache" / "runs").rglob("*") if path.is_file()}
    (found,) = (path for path, text in texts.items() if "src/train.py" in text and f"train.rate: {rate}\n" in text)
    return found


def forged(world: World, tmp_path: Path, rate: float) -> dict[str, bytes]:
    """What an attacker prepares at home: the entry that DVC will look for, with another number, and all its objects."""
    home = tmp_path / "home"
    shutil.copytree(world.project, home, symlinks=True)
    (home / "params.yaml").write_text(params(rate))
    world.shell(home, sys.executable, "-m", "dvc", "repro", "-q")
    cache = home / ".dvc" / "cache"
    entry = train_entry(home, rate)
    content = yaml.safe_load(entry.read_text())
    value = hashlib.md5(BETTER).hexdigest()
    for out in content["outs"]:
        if out["path"] == "metrics.json":
            out |= {"md5": value, "size": len(BETTER)}
    files = {f".dvc/cache/{path.relative_to(cache).as_posix()}": path.read_bytes()
             for path in (cache / "files").rglob("*") if path.is_file()}  # fmt: skip
    files[f".dvc/cache/files/md5/{value[:2]}/{value[2:]}"] = BETTER
    files[f".dvc/cache/{entry.parent.relative_to(cache).as_posix()}/{'f' * 64}"] = yaml.safe_dump(content).encode()
    return files


def plant(root: Path, files: Mapping[str, bytes]) -> None:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


def as_json(files: Mapping[str, bytes]) -> str:
    return json.dumps({path: content.hex() for path, content in files.items()})


def what_train_gave(run: Run) -> tuple[str, float]:
    assert run.code == 0, run.out + run.err
    outcomes = {stage["name"]: stage["outcome"] for stage in run.record["reproduce"]["stages"]}
    return outcomes["train"], json.loads((run.root / "metrics.json").read_text())["accuracy"]


def test_what_a_test_puts_into_the_run_cache_restores_nothing(world: World, tmp_path: Path) -> None:
    files = {
        "params.yaml": params(0.04), "planted.json": as_json(forged(world, tmp_path, 0.04)), "plant.py": PLANT,
        "mlbutler.toml": SETTINGS.replace(TESTED, "python plant.py"),
    }  # fmt: skip
    assert what_train_gave(world.change("by-a-test", files)) == ("ran", 0.94)


def test_what_an_earlier_stage_puts_into_the_run_cache_restores_nothing(world: World, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    everywhere = """
import glob
for folder in glob.glob(os.environ["TMPDIR"] + "/mlbutler-runs-*/tmp*"):
    for path, text in json.load(open("planted.json")).items():
        if "/runs/" in path:
            target = pathlib.Path(folder, path.split("/runs/")[1])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(bytes.fromhex(text))
            print("planted")
"""
    files = {
        "params.yaml": params(0.05), "planted.json": as_json(forged(world, tmp_path, 0.05)),
        "src/prepare.py": PREPARE + PLANT + everywhere,
    }  # fmt: skip
    world.branch("by-a-stage", files)
    environ = {**world.jenkins("by-a-stage"), "TMPDIR": str(temporary)}
    done = world.run(world.clone("origin/by-a-stage"), environ)
    assert "planted" in done.out
    assert what_train_gave(done) == ("ran", 0.95)


@pytest.mark.parametrize("verbs", ["run", "separate"])
def test_what_an_earlier_build_left_in_a_kept_workspace_restores_nothing(
    world: World, tmp_path: Path, verbs: str
) -> None:
    rate = 0.06 if verbs == "run" else 0.07
    world.branch(verbs, {"params.yaml": params(rate)})
    root, environ = world.clone(f"origin/{verbs}"), world.jenkins(verbs)
    plant(root, forged(world, tmp_path, rate))
    if verbs == "run":
        done = world.run(root, environ)
    else:
        assert [world.run(root, environ, verb=verb).code for verb in ("plan", "sync")] == [0, 0]
        done = world.run(root, environ, verb="reproduce")
    assert what_train_gave(done) == ("ran", round(0.9 + rate, 4))


def test_on_a_laptop_the_run_cache_counts_as_it_does_for_dvc(world: World, tmp_path: Path) -> None:
    world.branch("laptop", {"params.yaml": params(0.08)})
    root = world.clone("origin/laptop")
    plant(root, forged(world, tmp_path, 0.08))
    assert what_train_gave(world.run(root, {}, "--skip", "compare")) == ("restored", 0.999)


def test_a_build_finds_what_another_one_on_this_agent_ran(world: World) -> None:
    world.branch("first", {"params.yaml": params(0.09)})
    assert what_train_gave(world.run(world.clone("origin/first"), world.jenkins("first"))) == ("ran", 0.99)
    world.branch("second", {"params.yaml": params(0.09), "notes.md": "the same again"})
    again = world.run(world.clone("origin/second"), world.jenkins("second", 2))
    assert what_train_gave(again) == ("restored", 0.99)


def test_an_entry_that_swaps_the_outputs_of_a_true_run_is_not_handed_on(world: World, tmp_path: Path) -> None:
    files = forged(world, tmp_path, 0.02)
    (path,) = (path for path in files if "/runs/" in path and path.endswith("f" * 64))
    content = yaml.safe_load(train_entry(tmp_path / "home", 0.02).read_text())
    by_path = {out["path"]: out for out in content["outs"]}
    one, other = by_path["metrics.json"], by_path["curve.csv"]
    one["md5"], other["md5"] = other["md5"], one["md5"]
    swap = {
        "params.yaml": params(0.02), "planted.json": as_json({path: yaml.safe_dump(content).encode()}),
        "plant.py": PLANT, "mlbutler.toml": SETTINGS.replace(TESTED, "python plant.py"),
    }  # fmt: skip
    done = world.change("swapped", swap)
    assert what_train_gave(done) == ("ran", 0.92)
    name = path.removeprefix(".dvc/cache/")
    assert name in entries(done.root / ".dvc" / "cache")
    for place in (world.mirror, world.remote):
        assert name not in entries(place)
        assert any(entry.rpartition("/")[0] == name.rpartition("/")[0] for entry in entries(place))
