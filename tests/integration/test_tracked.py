"""Pull requests that bring in a commit what only a clone remembers, or have data go elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.world import World, make, params


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make(tmp_path_factory.mktemp("world"))


def forced(world: World, name: str, *paths: str) -> Path:
    """A clone of a branch that holds files which Git ignores."""
    world.git(world.author, "add", "-f", *paths)
    world.git(world.author, "commit", "-qm", "more than it should")
    world.push(name)
    return world.clone(f"origin/{name}")


@pytest.mark.parametrize(
    "path", [".mlbutler/pushed.json", ".dvc/cache/runs/ab/cd", ".dvc/tmp/btime", ".MLButler/seen.json"]
)
def test_memory_in_a_commit_is_refused_before_it_is_read(world: World, path: str) -> None:
    world.branch("memory", {"params.yaml": params(0.02)})
    world.git(world.author, "rm", "-rq", "--cached", "--ignore-unmatch", ".mlbutler")
    place = world.author / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("{}")
    root = forced(world, "memory", path)
    place.unlink()
    done = world.run(root, world.jenkins("memory"), verb="plan")
    assert done.code == 2
    assert f"Git tracks {path}" in done.err
    assert "git rm -r --cached" in done.err
    assert not (root / ".mlbutler" / "record.json").exists()


@pytest.mark.parametrize("name", [".mlbutler", "held"])
def test_a_link_in_the_place_of_a_memory_is_refused_and_not_followed(world: World, name: str, tmp_path: Path) -> None:
    more = {".dvc/config": (world.author / ".dvc/config").read_text() + "[cache]\n    dir = ../held\n"}
    world.branch("link", {"params.yaml": params(0.02), **(more if name == "held" else {})})
    (world.author / name).symlink_to(tmp_path)
    root = forced(world, "link", name)
    (world.author / name).unlink()
    done = world.run(root, world.jenkins("link"), verb="plan")
    assert done.code == 2
    assert f"Git tracks {name}" in done.err
    assert not any(tmp_path.iterdir())


def test_a_remote_that_moved_to_a_directory_is_told_and_not_used(world: World, tmp_path: Path) -> None:
    config = (world.author / ".dvc" / "config").read_text().replace(str(world.remote), str(tmp_path))
    world.branch("moved", {"params.yaml": params(0.02), ".dvc/config": config})
    root = world.clone("origin/moved")
    done = world.run(root, world.jenkins("moved"))
    assert done.code == 2
    assert f"the directory {world.remote} to the directory {tmp_path}" in done.err
    assert not any(tmp_path.iterdir())
    assert done.record["moved_remotes"] == [
        f"the change moves the DVC remote 'origin' from {world.remote} to {tmp_path}"
    ]
    report = (root / ".mlbutler" / "report" / "report.md").read_text()
    assert "Where data goes" in report
    assert "Where data goes" in (root / ".mlbutler" / "report" / "report.html").read_text()
