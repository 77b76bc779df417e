"""A laptop with a project whose training a test can watch, hold up, and let fail."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests import forked_python
from tests.integration.world import World, make

# It leaves a line for each run. With a rate of 0.5 it fails, with one above it waits until the test says go; when it is
# asked to end it ends well, as programs do that save a checkpoint. It imports little: it is started some hundred times.
TRAIN = """
import json, os, signal, sys, time
rate = json.loads(open("params.yaml").read().partition("rate:")[2].split("}")[0].split()[0])
places = os.environ["PLACES"]

def write(accuracy):
    for name, text in (
        ("model.txt", f"model at {rate}"), ("metrics.json", json.dumps({"accuracy": accuracy})),
        ("curve.csv", "step,loss\\n0,1\\n"),
    ):
        with open(name, "w") as file:
            file.write(text)

def stop(*_):
    write(0.1)
    print("checkpoint saved", flush=True)
    sys.exit(0)

signal.signal(signal.SIGTERM, stop)
with open(f"{places}/runs.log", "a") as log:
    log.write(f"{rate}\\n")
print(f"training at {rate}", flush=True)
print("devices", *(os.environ.get(f"{kind}_VISIBLE_DEVICES") for kind in ("CUDA", "NVIDIA")), flush=True)
if rate == 0.5:
    sys.exit("diverged")
until = time.monotonic() + 600
while rate > 0.5 and not os.path.exists(f"{places}/go") and time.monotonic() < until:
    time.sleep(0.05)
write(round(0.9 + rate, 4))
"""


KEEPER = "mlbutler.experiments.keeper"


class Laptop:
    """A work tree, and `mlbutler train` in it."""

    def __init__(self, world: World, places: Path) -> None:
        self.world, self.root, self.places = world, world.project, places

    def train(self, *words: str, code: int = 0) -> str:
        """Run `mlbutler train WORDS` and return what it says; the exit code is `code`."""
        run = self.world.run(self.root, {}, *words, verb="train")
        assert run.code == code, run.out + run.err
        return run.out + run.err

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Begin `mlbutler train WORDS`."""
        return forked_python.Popen(
            [sys.executable, "-m", "mlbutler", "train", *words], cwd=self.root, env=self.world.run_environ({}),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def list_experiments(self, *words: str) -> dict[str, dict[str, Any]]:
        """Return the experiments by name."""
        run = self.world.run(self.root, {}, "list", "--json", *words, verb="train")
        assert run.code == 0, run.err
        return {one["name"]: one for one in json.loads(run.out)["experiments"]}

    def git(self, *words: str) -> str:
        return self.world.git(self.root, *words)

    def runs(self) -> list[str]:
        """Return the rates that were trained with, in order."""
        log = self.places / "runs.log"
        return log.read_text().split() if log.exists() else []

    def processes(self) -> list[psutil.Process]:
        """Return what runs for experiments of this work tree, their workers included."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                own = str(self.root) in " ".join(process.cmdline())
                if own or process.cwd().startswith(f"{self.root}/.mlbutler"):
                    found += [process] if process.status() != psutil.STATUS_ZOMBIE else []
        return [one for one in found if one.pid != os.getpid()]

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until it holds; minutes, against a hang. What is asked for again takes the smaller part of the time."""
        end = time.monotonic() + 300
        while (asked := time.monotonic()) < end and not holds():
            time.sleep(max(0.1, 3 * (time.monotonic() - asked)))
        assert asked < end, self.list_experiments()

    def running(self, word: str) -> list[psutil.Process]:
        """Return the processes with `word` in their command; a keeper has the command that it keeps in its own.

        What one of them is about to start shows its command still.
        """
        found = []
        for one in self.processes():
            with contextlib.suppress(psutil.Error):
                words = one.cmdline()
                found += [(one, one.ppid())] if word in words and (word == KEEPER or KEEPER not in words) else []
        ids = {one.pid for one, _ in found}
        return [one for one, parent in found if parent not in ids]

    def kill(self, word: str) -> None:
        """Kill the processes with `word` in their command, as the machine does without memory."""
        victims = self.running(word)
        assert victims, [one.cmdline() for one in self.processes()]
        kill(victims)
        assert not psutil.wait_procs(victims, timeout=600)[1]

    def close(self) -> None:
        """End what still runs."""
        kill(self.processes())


def kill(processes: Iterable[psutil.Process]) -> None:
    """Kill processes, each of which may have ended at this moment."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@pytest.fixture(scope="session")
def trained_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world that is copied: `main` is trained at a rate of 0.01, and nothing of it is committed since."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "world").mkdir()
    world = make(folder / "world", environ={"PLACES": str(folder)})
    (world.project / "src" / "train.py").write_text(TRAIN)
    world.dvc("repro", "-q")
    for repository in (world.author, world.bare):
        world.git(repository, "repack", "-adnq")  # a file for each object, in a folder of its own, takes long to copy
    return world


@pytest.fixture
def laptop(tmp_path: Path, trained_world: World) -> Iterator[Laptop]:
    """A laptop on which `main` is trained at a rate of 0.01."""
    with contextlib.closing(laptop_in(tmp_path, trained_world)) as machine:
        yield machine


def laptop_in(folder: Path, trained_world: World) -> Laptop:
    """Return such a laptop in a folder, which stages find as PLACES."""
    world = World(folder / "world", environ={"PLACES": str(folder)})
    shutil.copytree(trained_world.directory, world.directory, symlinks=True)
    world.git(world.author, "remote", "set-url", "origin", str(world.bare))
    config = world.project / ".dvc" / "config"
    config.write_text(config.read_text().replace(str(trained_world.remote), str(world.remote)))
    world.git(world.author, "commit", "-qam", "a training that can be watched")
    return Laptop(world, folder)


@pytest.fixture(scope="session")
def better_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `better` is."""
    return tmp_path_factory.mktemp("better")


@pytest.fixture
def better(trained_world: World, better_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Laptop]:
    """A laptop with an experiment `better`, done at a rate of 0.05; it runs for the first test that wants it."""

    def run(machine: Laptop) -> None:
        machine.train("-n", "better", "-S", "train.rate=0.05")
        machine.train("wait")
        machine.until(lambda: not machine.processes())

    monkeypatch.chdir(better_folder)  # verbs called in this process work in the project, which goes at the end
    with lend_laptop(better_folder, trained_world, run) as machine:
        yield machine


@contextlib.contextmanager
def lend_laptop(folder: Path, trained_world: World, prepare: Callable[[Laptop], None]) -> Iterator[Laptop]:
    """Lend a laptop on which something was done, for the first test that wants it; each has its own copy there."""
    kept, now = folder / "kept", folder / "now"
    if not kept.exists():
        with contextlib.closing(laptop_in(now, trained_world)) as machine:
            prepare(machine)
        now.rename(kept)
    shutil.copytree(kept, now, symlinks=True)
    with contextlib.closing(Laptop(World(now / "world", environ={"PLACES": str(now)}), now)) as machine:
        yield machine
    shutil.rmtree(now)


_OWN = (".dvc/tmp", ".dvc/cache")


def snapshot(root: Path) -> dict[str, object]:
    """Return all that a submission must leave alone: index, HEAD, branches, stash, and every file of the work tree."""

    def git(*words: str) -> bytes:
        return subprocess.run(["git", *words], cwd=root, capture_output=True, check=True).stdout

    found: dict[str, object] = {"refs": git("for-each-ref", "refs/heads", "refs/tags", "refs/stash", "refs/remotes")}
    for name in ("index", "HEAD", "config", "logs/HEAD", "logs/refs/stash", "ORIG_HEAD", "MERGE_HEAD"):
        path = root / ".git" / name
        found[f".git/{name}"] = path.read_bytes() if path.exists() else None
    for folder, folders, files in os.walk(root):
        folders[:] = [
            name for name in folders if name not in (".git", ".mlbutler") and f"{Path(folder).name}/{name}" not in _OWN
        ]
        for path in (Path(folder, name) for name in (*folders, *files)):
            status = path.lstat()
            content = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else None
            changed = None if path.is_dir() else status.st_mtime_ns  # .mlbutler and DVC's cache may be new in one
            found[str(path.relative_to(root))] = status.st_mode, changed, content
    return found
