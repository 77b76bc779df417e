"""The program as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.world import World, params


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
        stderr=write, check=False, timeout=1800,
    )  # fmt: skip
    os.close(write)
    assert done.returncode == code
    assert world.run(root, {}, verb="report").code == 0
    assert "did not end" not in (root / ".mlbutler/report/report.md").read_text()


def test_a_closed_standard_output_is_no_error() -> None:
    command = f"exec {sys.executable} -m mlbutler --help >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, timeout=1800)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_locale_without_our_signs_is_no_error(world: World) -> None:
    before = world.change("ascii", {"params.yaml": params(0.02)})
    main = world.git(world.bare, "rev-parse", "main")
    done = subprocess.run(
        [sys.executable, "-m", "mlbutler", "compare", "--against", main], cwd=before.root,
        env=world.run_environ({"PYTHONIOENCODING": "ascii"}), capture_output=True, check=False, timeout=1800,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"\\u25b2 better" in done.stdout


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8:surrogateescape", "ascii", "latin-1"])
def test_json_is_json_whatever_the_locale_and_the_name(encoding: str, tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + "/ünï ☃ 🎲 ".encode() + b"\xff"
    done = subprocess.run(
        [sys.executable, "-m", "mlbutler", "plan", "--json", "-C", odd], capture_output=True, check=False, timeout=1800,
        env=os.environ | {"PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert done.returncode == 2
    assert json.loads(done.stdout.decode(encoding.partition(":")[0]))["error"].endswith("/ünï ☃ 🎲 \udcff")


def test_a_project_in_a_folder_whose_name_is_no_text_is_refused(world: World) -> None:
    place = os.fsencode(world.directory) + b"/\xff"
    subprocess.run(["git", "clone", "-q", str(world.bare), place], check=True, capture_output=True)
    done = subprocess.run(
        [sys.executable, "-m", "mlbutler", "plan", "--json", "-C", place], env=world.run_environ({}),
        capture_output=True, text=True, check=False, timeout=1800,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "not UTF-8" in json.loads(done.stdout)["error"]
