"""The comment as reviewers see it while stages run."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import forked_python
from tests.integration.world import World, params, waits


def watched(world: World, process: subprocess.Popen[str], go: Path) -> list[str]:
    """Return the verdict lines that the comment had until the process ended; `train` goes on once that tells of it."""
    seen: list[str] = []
    while process.poll() is None:
        for comment in world.forge.rglob("*.md"):
            try:
                line = next((line for line in comment.read_text().splitlines() if line.startswith("**")), "")
            except FileNotFoundError:  # it is being replaced
                continue
            if line and line not in seen[-1:]:
                seen.append(line)
            if line.startswith("**Running**: stage train"):
                go.touch()
        time.sleep(0.05)
    go.touch()
    return seen


def start(world: World, root: Path, *words: str, number: int = 1) -> subprocess.Popen[str]:
    return forked_python.Popen(
        [sys.executable, "-m", "mlbutler", *words], cwd=root, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env=world.run_environ(world.jenkins("slow", number)),
    )  # fmt: skip


@pytest.fixture
def slow(world: World, tmp_path: Path) -> World:
    """A pull request whose stage `train` ends once the comment tells of it."""
    text = (world.project / "src" / "train.py").read_text()
    world.branch("slow", {"src/train.py": waits(tmp_path) + text, "params.yaml": params(0.02)})
    return world


def test_a_run_tells_how_far_it_is_and_then_the_verdict(slow: World, tmp_path: Path) -> None:
    process = start(slow, slow.clone("origin/slow"), "run", "--live", "--every", "1")
    seen = watched(slow, process, tmp_path / "go")
    out = process.communicate()[0]
    assert process.returncode in (0, 1), out
    assert any(line.startswith("**Running**: stage train") for line in seen), (seen, out)
    comments = list(slow.forge.rglob("*.md"))
    assert len(comments) == 1
    assert "\n**Running**" not in comments[0].read_text()


def test_from_beside_it_follows_stages_that_run_without_the_token(slow: World, tmp_path: Path) -> None:
    root = slow.clone("origin/slow")
    for verb in ("plan", "sync"):
        assert slow.run(root, slow.jenkins("slow"), "--in-run", verb=verb).code == 0
    live = start(slow, root, "publish", "--live", "--every", "1")
    stages = start(slow, root, "reproduce", "--in-run")
    seen = watched(slow, live, tmp_path / "go")
    out, said = stages.communicate()[0], live.communicate()[0]
    assert stages.returncode == 0, out
    assert live.returncode == 0, said
    assert any(line.startswith("**Running**: stage train") for line in seen), (seen, said)
    assert "The comment was written" in said
    assert slow.run(root, slow.jenkins("slow"), "--in-run", verb="publish").code == 0
    [comment] = slow.forge.rglob("*.md")
    assert "\n**Running**" not in comment.read_text()
