"""The program as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.integration.world import World


@pytest.mark.parametrize(
    ("least", "code", "unbuffered"), [(0, 0, {}), (2, 1, {"PYTHONUNBUFFERED": "1"})], ids=["passes", "fails"]
)
def test_a_reader_that_leaves_changes_no_result(
    world: World, least: int, code: int, unbuffered: dict[str, str]
) -> None:
    gate = f'\n[[gate]]\nmetric = "metrics.json:accuracy"\nmin = {least}\n'
    world.branch("strict", {"mlbutler.toml": (world.project / "mlbutler.toml").read_text() + gate})
    root = world.clone("origin/strict")
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "mlbutler", "compare"], cwd=root, env=world.run_environ(unbuffered), stdout=write,
        stderr=write, check=False, timeout=120,
    )  # fmt: skip
    os.close(write)
    assert done.returncode == code
    assert world.run(root, {}, verb="report").code == 0
    assert "did not end" not in (root / ".mlbutler/report/report.md").read_text()


def test_a_closed_standard_output_is_no_error() -> None:
    command = f"exec {sys.executable} -m mlbutler --help >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
