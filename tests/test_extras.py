from __future__ import annotations

import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from mlbutler.extras import how_to_get, installed_version, packages


@pytest.mark.parametrize("package", ["dvc", "click", "pytest"])
def test_the_version_of_a_package_is_what_its_metadata_says(package: str) -> None:
    assert installed_version(package) == version(package)


def test_the_packages_of_an_extra_are_named_with_their_versions() -> None:
    assert packages("plots") == "'pillow>=10' 'vl-convert-python>=1.7'"
    assert packages("parquet") == "'pyarrow>=15'"


def test_the_command_is_for_the_environment_that_mlbutler_runs_in() -> None:
    words = shlex.split(how_to_get("parquet"))
    assert words[0] == sys.executable
    done = subprocess.run([*words, "--dry-run", "--no-index", "--quiet"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr  # it is here already


@pytest.mark.parametrize(("mark", "said"), [
    ("pipx_metadata.json", "pipx inject mlbutler 'pyarrow>=15'"),
    ("uv-receipt.toml", f"uv pip install --python {sys.executable} 'pyarrow>=15'"),
])  # fmt: skip
def test_tools_that_keep_an_environment_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: str, said: str
) -> None:
    (tmp_path / "mlbutler").mkdir()
    (tmp_path / "mlbutler" / mark).touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "mlbutler"))
    assert how_to_get("parquet") == said
