"""push, reproduce and publish, killed as a file is about to get its name or just has it: the next run ends right."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests import forked_python
from tests.integration.world import World, make, params
from tests.store.world import unsound

IN_RUN = {"MLBUTLER_IN_RUN": "true"}
RATE = {"params.yaml": params(0.05)}


def killed(world: World, root: Path, environ: Mapping[str, str], verb: str, word: str, after: bool) -> None:
    """Run the verb, and kill it and what it started when a file whose path has `word` gets its name, or just after."""
    armed = world.directory / "armed"
    armed.touch()
    words = (str(armed), word, "after" if after else "before", verb)
    done = forked_python.run("tests.integration.killed_verb", *words, cwd=root, env=world.run_environ(environ))
    assert (done.returncode, armed.exists()) == (-signal.SIGKILL, False), done.stdout + done.stderr


def steps(world: World, root: Path, environ: Mapping[str, str], *verbs: str) -> None:
    for verb in verbs:
        done = world.run(root, environ, verb=verb)
        assert done.code == 0, f"{verb}: {done.out}{done.err}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A pull request's build in `build-1`, up to `reproduce`, and one in `build-2`, up to `sync`; `kept` is as it."""
    world = make(tmp_path_factory.mktemp("made") / "world")
    world.branch("better", RATE)
    root = world.clone("origin/better")
    steps(world, root, world.jenkins("better") | IN_RUN, "plan", "test", "lint", "sync", "check", "reproduce")
    steps(world, world.clone("origin/better"), world.jenkins("better") | IN_RUN, "plan", "sync")
    shutil.copytree(world.directory, world.directory.with_name("kept"), symlinks=True)
    return world


@pytest.fixture
def begun(made: World) -> World:
    """`made` as it was, in the same place: what is on disk names its paths."""
    shutil.rmtree(made.directory)
    shutil.copytree(made.directory.with_name("kept"), made.directory, symlinks=True)
    return World(made.directory, clones=made.clones)


def sound(world: World) -> bool:
    return unsound(world.remote) == unsound(world.mirror) == []


def states(world: World) -> list[str]:
    """The states of the commit that was judged and of the one with the results."""
    return [json.loads(path.read_text())["state"] for path in (world.forge / "statuses").glob("*.json")]


@pytest.mark.parametrize(("word", "after"), [
    ("dvc-remote/files/md5", True), ("dvc-remote/runs", False), ("mirror/files", True),
])  # fmt: skip
def test_push(begun: World, word: str, after: bool) -> None:
    world = begun
    root, environ = world.directory / "build-1", world.jenkins("better") | IN_RUN
    killed(world, root, environ, "push", word, after)
    assert sound(world)
    steps(world, root, environ, "push", "compare", "commit", "report", "publish")
    assert sound(world)
    world.git(root, "fetch", "-q", "origin")
    fresh = world.clone("origin/better")
    assert world.run(fresh, world.jenkins("better"), "pushed", "--anew", verb="check").code == 0
    assert states(world) == ["success", "success"]


@pytest.mark.parametrize(("word", "after"), [("dvc.lock", False), ("cache/files/md5", True)])
def test_reproduce(begun: World, word: str, after: bool) -> None:
    """The next build in the same workspace, which Jenkins cleans as the generated Jenkinsfile has it."""
    world = begun
    root, environ = world.directory / "build-2", world.jenkins("better")
    killed(world, root, environ | IN_RUN, "reproduce", word, after)
    assert unsound(root / ".dvc" / "cache") == []
    head = world.git(world.bare, "rev-parse", "better")
    world.git(root, "reset", "-q", "--hard")
    world.git(root, "clean", "-ffdxq", "-e", "**/.dvc/cache")
    again = world.run(root, environ)
    assert again.code == 0, again.out + again.err
    assert world.git(world.bare, "rev-parse", "better^") == head
    assert '"accuracy": 0.95' in world.git(world.bare, "show", "better:metrics.json")
    assert sound(world)


def test_reproduce_in_a_work_tree_that_nobody_cleans(begun: World) -> None:
    world = begun
    root, environ = world.directory / "build-2", world.jenkins("better") | IN_RUN
    killed(world, root, environ, "reproduce", "dvc.lock", after=False)
    steps(world, root, environ, "reproduce")
    planned = world.run(root, environ, verb="plan")
    assert {stage["state"] for stage in planned.record["plan"]["stages"]} == {"up to date"}
    assert unsound(root / ".dvc" / "cache") == []


def test_publish(begun: World) -> None:
    """Killed as the comment is about to be there, and once more as it just is; the third time ends."""
    world = begun
    root, environ = world.directory / "build-1", world.jenkins("better") | IN_RUN
    steps(world, root, environ, "push", "compare", "commit", "report")
    killed(world, root, environ, "publish", "comments/", after=False)
    assert not list(world.forge.rglob("comments/*.md"))
    killed(world, root, environ, "publish", "comments/", after=True)
    assert len(list(world.forge.rglob("comments/*.md"))) == 1
    steps(world, root, environ, "publish")
    [comment] = world.forge.rglob("comments/*.md")
    assert "\n**Better or noise**" in comment.read_text()
    assert states(world) == ["success", "success"]
