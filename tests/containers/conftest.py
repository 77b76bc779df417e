"""An engine for all tests here, and the demo's project as Jenkins would build it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlbutler.console import Console
from mlbutler.demo.world import World, create, create_project
from tests.containers.docker_pipeline import USER, give
from tests.containers.engine import Engine, found

SLOW = """
import pathlib, signal, sys, time
def stop(*_):
    time.sleep(3)
    pathlib.Path("checkpoint").touch()
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
pathlib.Path(".mlbutler/begun").touch()
until = time.monotonic() + 600
while time.monotonic() < until:
    time.sleep(0.05)
"""


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The engine; without one these tests are skipped."""
    with found(tmp_path_factory.mktemp("engine")) as one:
        if one is None:
            pytest.skip("no container engine answers a docker client here, and there is no Podman to serve one")
        yield one


@dataclass(frozen=True)
class Project:
    """A project on an agent with Docker: its world, image, mirror and Jenkinsfile, and clones as Jenkins makes them."""

    world: World
    image: str
    mirror: Path
    jenkinsfile: str
    clones: dict[str, Path]

    def environ(self, branch: str) -> dict[str, str]:
        """The environment of a pull request's build."""
        return {
            "JENKINS_URL": "http://jenkins.example/",
            "BUILD_URL": "http://jenkins.example/job/x/1/",
            "GIT_URL": str(self.world.repository),
            "BRANCH_NAME": "PR-1",
            "CHANGE_ID": "1",
            "CHANGE_TARGET": "main",
            "CHANGE_BRANCH": branch,
            "CHANGE_TITLE": "A change",
            "CHANGE_URL": "http://forge.example/pulls/1",
            "MLBUTLER_IN_RUN": "true",
            "MLBUTLER_DATA_MIRROR": str(self.mirror),
            "MLBUTLER_FORGE_URL": str(self.world.forge),
        }


@pytest.fixture(scope="session")
def project(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The demo's project, with what `mlbutler init` writes, and its image as the plugin builds it."""
    world = create(tmp_path_factory.mktemp("demo") / "world")
    create_project(world, Console(quiet=True))
    git = world.git(world.project)
    mirror = world.directory / "agent" / "mirror"
    mirror.mkdir(parents=True)
    subprocess.run(
        [sys.executable, "-m", "mlbutler", "init", "--quiet", "--mirror", str(mirror), "--shm-size", "128m"],
        cwd=world.project, env=world.environ(), check=True,
    )  # fmt: skip
    git.run("add", "--all")
    git.run("commit", "--quiet", "--message=Jenkins")
    git.run("push", "--quiet", "origin", "main")
    dockerfile = (world.project / "Dockerfile").read_text()
    base = re.findall(r"(?m)^FROM (\S+)", dockerfile)[0]
    if not engine.has(base):
        pytest.skip(f"the engine has no image {base}, and cannot pull it")
    if why := engine.lacks(base):
        pytest.skip(f"the engine cannot make a container of {base}: {why}")
    clones = {}
    for name, path, text in (
        ("better", "params.yaml", (world.project / "params.yaml").read_text().replace("hidden: 12", "hidden: 16")),
        ("slow", "src/train.py", SLOW),
    ):
        git.run("switch", "--quiet", "--create", name, "main")
        (world.project / path).write_text(text)
        git.run("commit", "--quiet", "--all", f"--message={name}")
        git.run("push", "--quiet", "origin", name)
        clones[name] = world.directory / "clones" / name
        git.run("clone", "--quiet", "--no-checkout", str(world.repository), str(clones[name]))
        world.git(clones[name]).run("checkout", "--quiet", "--detach", git.head())
    git.run("switch", "--quiet", "main")
    image = engine.build("mlbutler-test-digits", world.project, UID=str(USER), GID=str(USER))
    give(world.forge, world.remote, mirror)
    yield Project(world, image, mirror, (world.project / "Jenkinsfile").read_text(), clones)
    # What an earlier build of other code left, so that layers that did not change are there the next time.
    engine.docker("image", "prune", "--force", "--filter", "label=mlbutler.project=repository", check=False)
