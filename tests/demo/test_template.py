"""The demo's project is one that its own tools are content with."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from mlbutler.demo import world as world_module
from mlbutler.settings import load

TEMPLATE = Path(world_module.__file__).parent / "template"


def test_its_settings_are_valid_and_hold_nothing_of_this_machine() -> None:
    settings = load(TEMPLATE, {}).settings
    assert [gate.metric for gate in settings.gate] == ["metrics.json:accuracy"]
    assert settings.data.mirror is None
    assert settings.forge.url is None


def test_its_tests_pass(tmp_path: Path) -> None:
    settings = load(TEMPLATE, {}).settings
    (command,) = settings.test.command
    assert command.startswith("python ")
    done = subprocess.run(
        [sys.executable, "-B", *command.split()[1:]], cwd=TEMPLATE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Ran 3 tests" in done.stderr


def test_pictures_are_real_and_always_the_same(tmp_path: Path) -> None:
    from PIL import Image

    from mlbutler.demo.pictures import write_digits

    assert write_digits(tmp_path / "one") == write_digits(tmp_path / "two") == 1797
    one, two = (
        {file.relative_to(tmp_path / side): hashlib.sha256(file.read_bytes()).hexdigest()
         for file in (tmp_path / side).glob("*/*.png")}
        for side in ("one", "two")
    )  # fmt: skip
    assert len(one) == 1797
    assert one == two
    with Image.open(tmp_path / "one" / "0" / "0000.png") as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (8, 8))
        assert picture.getextrema() == (0, 239)


@pytest.mark.parametrize("name", ["README.md", "dvc.yaml", "params.yaml", "mlbutler.toml", ".gitignore"])
def test_no_file_names_a_place_of_this_machine(name: str) -> None:
    text = (TEMPLATE / name).read_text()
    assert "/home/" not in text
    assert "/tmp/" not in text
