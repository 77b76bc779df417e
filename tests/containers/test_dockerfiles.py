"""What the repository's Dockerfiles copy is let through by the files beside them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.containers.engine import ROOT


@pytest.mark.parametrize(
    "dockerfile", sorted((ROOT / "docker").glob("*/Dockerfile")), ids=lambda path: path.parent.name
)
def test_all_that_is_copied_is_sent_to_the_engine(dockerfile: Path) -> None:
    sent = dockerfile.with_name("Dockerfile.dockerignore").read_text().splitlines()
    assert sent[0] == "*"
    copied = {
        name for words in re.findall(r"(?m)^COPY (?!--)(.+) \S+$", dockerfile.read_text()) for name in words.split()
    }
    assert copied
    assert {f"!{name.rstrip('/')}" for name in copied} <= set(sent)
