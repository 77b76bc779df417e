"""The image for single commands."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.containers.engine import ROOT, Engine, copy_clone
from tests.integration.world import make

DOCKERFILE = ROOT / "docker" / "cli" / "Dockerfile"


def test_a_project_is_planned_in_it_by_any_user(engine: Engine, tmp_path: Path) -> None:
    base = re.findall(r"(?m)^ARG BASE=(\S+)", DOCKERFILE.read_text())[0]
    if not engine.has(base):
        pytest.skip(f"the engine has no image {base}, and cannot pull it")
    source = tmp_path / "source"
    copy_clone(source)
    image = engine.build("mlbutler-test-cli", source, "docker/cli/Dockerfile")
    project = make(tmp_path / "world").project
    subprocess.run(["chown", "-R", "1500:1500", str(tmp_path)], check=True)
    at = ["--user", "1500:1500", "--volume", f"{tmp_path}:{tmp_path}", "--workdir", str(project)]
    done = engine.docker("run", "--rm", *at, image, "plan", "--verbose")
    assert "plan: passed: nothing is stale" in done.stdout
    assert "Getting started" in engine.docker("run", "--rm", image, "help").stdout
    engine.docker("image", "prune", "--force", "--filter", "label=mlbutler.project=cli", check=False)
