"""Images that Jenkins runs steps in have what its plugins and mlbutler run there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlbutler.scaffold.image import IMAGE_LABEL, packages

ROOT = Path(__file__).parents[2]


def test_the_agent_image_of_the_repository_has_them() -> None:
    text = (ROOT / "docker" / "agent" / "Dockerfile").read_text()
    (line,) = re.findall(r"(?m)^ +(ca-certificates .*) \\$", text)
    assert set(packages()) <= set(line.split())
    assert f"LABEL {IMAGE_LABEL}=" in text


@pytest.mark.parametrize("name", ["pyproject.toml", "README.md", "LICENSE", "src"])
def test_what_it_copies_is_let_in(name: str) -> None:
    folder = ROOT / "docker" / "agent"
    assert f" {name} " in (folder / "Dockerfile").read_text()
    assert f"!{name}\n" in (folder / "Dockerfile.dockerignore").read_text()
