from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlbutler.console import Console
from mlbutler.demo import agent
from mlbutler.demo.world import StoryBroken, World, change_params, create
from tests.conftest import GitCommand


@pytest.fixture
def small_world(tmp_path: Path, git: GitCommand) -> World:
    """A world whose project holds nothing but params."""
    world = create(tmp_path / "a world")
    git(tmp_path, "clone", "--quiet", str(world.repository), str(world.project))
    git(world.project, "config", "user.name", "Ada")
    git(world.project, "config", "user.email", "ada@example.org")
    (world.project / "params.yaml").write_text("train:\n  epochs: 8\n  seed: 7\n")
    git(world.project, "add", ".")
    git(world.project, "commit", "--quiet", "-m", "start")
    git(world.project, "push", "--quiet", "origin", "HEAD:main")
    return world


def test_nobody_in_the_world_sees_the_users_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "CHANGE_ID", "MLBUTLER_RUN_AGAINST", "GIT_DIR", "DVC_ROOT"):
        monkeypatch.setenv(name, "planted")
    environ = World(tmp_path).environ()
    assert "planted" not in environ.values()
    assert environ["HOME"] == str(tmp_path / "home")


def test_python_is_the_interpreter_that_runs_the_demo(tmp_path: Path) -> None:
    world = create(tmp_path / "it's a world")
    code = "import sys; print(sys.executable, *sys.argv[1:], sep='|')"
    done = subprocess.run(
        ["python", "-c", code, "two words"], env=world.environ(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"{sys.executable}|two words"


def test_children_find_the_package_of_a_source_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["src", str(tmp_path / "other")]))
    assert World(tmp_path).environ()["PYTHONPATH"] == f"{tmp_path}/src{os.pathsep}{tmp_path}/other"


def test_the_author_changes_params_on_a_branch_and_pushes_it(small_world: World, git: GitCommand) -> None:
    commit = change_params(small_world, "longer", "Train longer", {"epochs": ("8", "30")})
    assert git(small_world.repository, "rev-parse", "longer") == commit
    assert git(small_world.repository, "show", "longer:params.yaml") == "train:\n  epochs: 30\n  seed: 7"
    assert git(small_world.repository, "show", "main:params.yaml") == "train:\n  epochs: 8\n  seed: 7"
    assert git(small_world.project, "status", "--porcelain") == ""


def test_a_param_with_another_value_than_told_breaks_the_story(small_world: World) -> None:
    with pytest.raises(StoryBroken, match="no 'epochs: 9'") as caught:
        change_params(small_world, "longer", "Train longer", {"epochs": ("9", "30")})
    assert caught.value.exit_code == 1


def test_the_agent_clones_as_jenkins_does(small_world: World, git: GitCommand) -> None:
    commit = change_params(small_world, "longer", "Train longer", {"epochs": ("8", "30")})
    pull_request = agent.open_pull_request(small_world, 4, "Longer", "longer")
    workspace = small_world.workspaces / "one"
    assert agent._check_out(small_world, pull_request, workspace) == commit
    assert git(workspace, "rev-parse", "--abbrev-ref", "HEAD") == "HEAD"
    references = git(workspace, "for-each-ref", "--format=%(refname) %(objectname)")
    assert references == f"refs/remotes/origin/PR-4 {commit}"
    assert git(workspace, "config", "--get-all", "remote.origin.fetch").endswith("refs/remotes/origin/PR-4")
    with pytest.raises(AssertionError):
        git(workspace, "config", "--local", "user.name")


def test_a_build_without_a_record_breaks_the_story(small_world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """The project is no DVC project: the run is refused before there is a record."""
    change_params(small_world, "longer", "Train longer", {"epochs": ("8", "30")})
    pull_request = agent.open_pull_request(small_world, 1, "Longer", "longer")
    with pytest.raises(StoryBroken, match=r"exit code 2\) left no record"):
        agent.build(small_world, pull_request, 1, Console())
    assert "  | error: " in capsys.readouterr().out
