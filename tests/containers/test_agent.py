"""The agent image of the repository: what a build needs on the machine itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlbutler.scaffold.image import PROGRAMS
from mlbutler.version import __version__
from tests.containers.engine import ROOT, Engine, copy_clone

DOCKERFILE = ROOT / "docker" / "agent" / "Dockerfile"


def test_it_has_mlbutler_dvc_and_what_jenkins_runs(engine: Engine, tmp_path: Path) -> None:
    base = re.findall(r"(?m)^ARG BASE=(\S+)", DOCKERFILE.read_text())[0]
    if not engine.has(base):
        pytest.skip(f"the engine has no image {base}, and cannot pull it")
    copy_clone(tmp_path)
    image = engine.build("mlbutler-test-agent", tmp_path, "docker/agent/Dockerfile")
    script = "mlbutler --version && dvc --version && touch $MLBUTLER_DATA_MIRROR/x && id -un"
    said = engine.docker("run", "--rm", "--entrypoint", "sh", image, "-ec", script).stdout.split()
    assert __version__ in said
    assert said[-1] == "jenkins"
    for program in PROGRAMS:
        engine.docker("run", "--rm", "--entrypoint", "sh", image, "-c", f"type {program}")
    engine.docker("image", "prune", "--force", "--filter", "label=mlbutler.project=agent", check=False)
