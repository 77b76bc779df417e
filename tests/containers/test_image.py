"""The image that `mlbutler init` describes, built and run by a real engine as Jenkins does it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlbutler.scaffold.image import PROGRAMS
from mlbutler.version import __version__
from tests.containers.conftest import Project
from tests.containers.docker_pipeline import Container, arguments, inside
from tests.containers.engine import Engine


@contextmanager
def build(engine: Engine, project: Project, directory: Path, branch: str, *, fork: bool = False) -> Iterator[Container]:
    """A build's container, its workspace checked out as Jenkins does."""
    workspace = directory / "workspace"
    shutil.copytree(project.clones[branch], workspace, symlinks=True)
    places = [word for path in (project.world.forge, project.world.remote) for word in ("-v", f"{path}:{path}")]
    args = [*arguments(project.jenkinsfile, fork=fork), *places]
    with inside(engine, project.image, workspace, args, project.environ(branch)) as container:
        yield container


def test_it_has_every_program_that_its_plugins_and_mlbutler_need(
    engine: Engine, project: Project, tmp_path: Path
) -> None:
    with build(engine, project, tmp_path, "better") as container:
        for program in PROGRAMS:
            found = engine.docker("exec", container.id, "sh", "-c", f"type {program}", check=False)
            assert found.returncode == 0, program
        version = container.sh("mlbutler --version")
        assert (version.exit_code(), __version__ in version.log) == (0, True)


def test_a_pull_request_is_built_from_its_plan_to_its_comment(engine: Engine, project: Project, tmp_path: Path) -> None:
    with build(engine, project, tmp_path, "better") as container:
        for step in ("plan", "test", "lint", "sync", "check", "reproduce", "push", "compare", "commit"):
            done = container.sh(f"mlbutler {step}")
            assert done.exit_code() in (0, 1) if step == "compare" else done.exit_code() == 0, done.log
        assert container.sh("mlbutler report").exit_code() == 0
        assert container.sh("mlbutler publish").exit_code() == 0
        doctor = container.sh("mlbutler doctor --verbose")
    record = json.loads((container.workspace / ".mlbutler" / "record.json").read_text())
    ran = {stage["name"] for stage in record["reproduce"]["stages"] if stage["outcome"] == "ran"}
    assert ran == {"train", "evaluate"}
    assert any("accuracy" in path.read_text() for path in project.world.forge.rglob("*.md"))
    assert "shared memory" in doctor.log
    assert "128" in doctor.log


def test_an_aborted_build_ends_at_once_and_is_reported(engine: Engine, project: Project, tmp_path: Path) -> None:
    """Its training takes a moment to write a checkpoint; the report waits for that."""
    with build(engine, project, tmp_path, "slow") as container:
        begun = container.workspace / ".mlbutler" / "begun"
        assert container.sh("mlbutler sync").exit_code() == 0
        step = container.start("mlbutler reproduce")
        while not begun.exists():
            assert not (step.folder / "jenkins-result.txt").exists(), step.log
            time.sleep(0.05)
        container.abort(step)
        assert step.exit_code() == 143
        told = container.sh("mlbutler report --interrupted")
        assert told.exit_code() == 0, told.log
        assert container.sh("mlbutler publish").exit_code() == 0
        assert "mlbutler" not in container.processes()
        assert "train.py" not in container.processes()
    assert (container.workspace / "checkpoint").exists()
    record = json.loads((container.workspace / ".mlbutler" / "record.json").read_text())
    assert record["reproduce"]["outcome"] == "interrupted"
    assert any("nterrupted" in path.read_text() for path in project.world.forge.rglob("*.md"))


def test_a_training_that_takes_too_long_fails_and_leaves_nothing_running(
    engine: Engine, project: Project, tmp_path: Path
) -> None:
    with build(engine, project, tmp_path, "slow") as container:
        assert container.sh("mlbutler sync").exit_code() == 0
        done = container.sh("mlbutler reproduce", {"MLBUTLER_REPRODUCE_TIMEOUT": "20s"})
        assert done.exit_code() == 1, done.log
        assert "train.py" not in container.processes()
        assert container.sh("mlbutler report").exit_code() == 0
    record = json.loads((container.workspace / ".mlbutler" / "record.json").read_text())
    assert record["reproduce"]["outcome"] == "failed"
    assert "timed out after 20" in record["reproduce"]["reason"]


def test_a_forks_build_reads_the_mirror_and_cannot_write_it(engine: Engine, project: Project, tmp_path: Path) -> None:
    with build(engine, project, tmp_path, "better", fork=True) as container:
        assert container.sh(f"ls {project.mirror}").exit_code() == 0
        refused = container.sh(f"touch {project.mirror}/planted")
        assert refused.exit_code() != 0
        assert "Read-only file system" in refused.log


def test_images_of_a_project_are_found_by_their_label(engine: Engine, project: Project) -> None:
    listed = engine.docker("image", "ls", "--filter", "label=mlbutler.project", "--format", "{{.Repository}}").stdout
    assert "mlbutler-test-digits" in listed
