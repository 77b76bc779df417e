"""Imports, read from the source."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlbutler.project.python_imports import imported_files


def write(root: Path, files: dict[str, str]) -> None:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)


def test_all_forms_of_imports_are_followed_as_python_does(tmp_path: Path) -> None:
    write(tmp_path, {
        "src/train.py": "import helper\nimport numpy, json\nfrom pkg import one, name\nfrom pkg.deep.two import f\n",
        "src/helper.py": "def later():\n    import lazy\n",
        "src/lazy.py": "__import__('by_call')\nimport importlib\nimportlib.import_module('by_importlib')\n",
        "src/by_call.py": "",
        "src/by_importlib.py": "",
        "src/pkg/__init__.py": "from .used_by_init import name\n",
        "src/pkg/used_by_init.py": "name = 1\n",
        "src/pkg/one.py": "from . import sibling\n",
        "src/pkg/sibling.py": "",
        "src/pkg/deep/__init__.py": "",
        "src/pkg/deep/two.py": "from ..uncle import u\ndef f(): pass\n",
        "src/pkg/uncle.py": "u = 1\n",
        "src/pkg/never.py": "",
        "src/never.py": "",
    })  # fmt: skip
    found = imported_files(tmp_path, ["src/train.py"], ["", "src"])
    everything = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.py")}
    assert everything - found.keys() == {"src/train.py", "src/never.py", "src/pkg/never.py"}
    assert found["src/pkg/sibling.py"] == "src/pkg/one.py"
    # what Python itself loads is among what was found
    code = "import sys, runpy; runpy.run_path('src/train.py'); import helper; helper.later()"
    code += "\nfor m in list(sys.modules.values()): print(getattr(m, '__file__', None))"
    write(tmp_path, {"numpy.py": ""})
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={"PYTHONPATH": f"{tmp_path}/src:{tmp_path}"},
    ).stdout.splitlines()  # fmt: skip
    ours = {Path(path).relative_to(tmp_path).as_posix() for path in loaded if path.startswith(f"{tmp_path}/src")}
    assert len(ours) >= 9
    assert ours <= found.keys()


def test_circles_end_and_a_module_goes_before_a_folder_without_init(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "import b", "b.py": "import a\nimport space.c", "space/c.py": "", "space/d.py": ""})
    assert imported_files(tmp_path, ["a.py"], [""]) == {"b.py": "a.py", "space/c.py": "b.py"}


@pytest.mark.parametrize("content", ["import (", "\0", "(" * 5000, "import x\n" * 200_000, "# coding: nothing\n"])
def test_what_is_no_python_imports_nothing(tmp_path: Path, content: str) -> None:
    write(tmp_path, {"a.py": content, "x.py": ""})
    assert imported_files(tmp_path, ["a.py", "gone.py"], [""]) == {}


def test_a_relative_import_cannot_leave_the_project(tmp_path: Path) -> None:
    root = tmp_path / "project"
    write(tmp_path, {"project/a.py": "from ..... import outside\nfrom .. import outside", "outside.py": ""})
    assert imported_files(root, ["a.py"], [""]) == {}
