from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from mlbutler.scaffold.detect import detect_project
from mlbutler.scaffold.options import ScaffoldOptions
from mlbutler.scaffold.render import render_files
from tests.scaffold.projects import KINDS, make


def stage(command: str, extra: str = "") -> str:
    return f"stages:\n  train:\n    cmd: {command}\n{extra}    outs: [model]\n"


PACKAGE = {"src/__init__.py": "", "src/features/__init__.py": "", "src/features/build.py": "", "src/util.py": ""}


@pytest.mark.parametrize(("files", "command", "extra", "folders"), [
    # cookiecutter-data-science, version 1
    ({**PACKAGE, "setup.py": "from setuptools import setup\nsetup(name='src')\n",
      "src/data/make.py": "from src.features import build\n"}, "python src/data/make.py data/raw", "", ("",)),
    # version 2: a package at the root that its own scripts import by its name
    ({"words/__init__.py": "", "words/config.py": "import logging\n", "words/train.py": "from words.config import X\n",
      "pyproject.toml": "[project]\nname = 'words'\n"}, "python words/train.py", "", ("",)),
    ({"words/__init__.py": "", "words/config.py": "", "words/train.py": "from words.config import X\n"},
     "python -m words.train", "", ()),
    # the write-up's
    ({**PACKAGE, "src/train.py": "from src.features.build import x\nimport pandas\n"}, "python3 src/train.py",
     "", ("",)),
    ({**PACKAGE, "src/train.py": "import src.util as u\n"}, "python src/train.py", "", ("",)),
    # by way of another module, and of a shell script
    ({**PACKAGE, "src/train.py": "import helper\n", "src/helper.py": "from src import util\n"},
     "python src/train.py", "", ("",)),
    ({**PACKAGE, "run.sh": "set -e\npython src/train.py\n", "src/train.py": "import src.util\n"}, "bash run.sh",
     "", ("",)),
    # packages below src, and in another folder
    ({"scripts/train.py": "from words import x\n", "src/words/__init__.py": ""}, "python scripts/train.py",
     "", ("src",)),
    ({"scripts/train.py": "import util\n", "src/util.py": ""}, "python scripts/train.py", "", ("src",)),
    ({"train.py": "from words import x\n", "lib/words/__init__.py": ""}, "python train.py", "", ("lib",)),
    ({"train.py": "import words.x\n", "lib/words/x.py": ""}, "python train.py", "", ("lib",)),
    ({"src/words/__init__.py": "", "src/words/train.py": ""}, "python -m words.train", "", ("src",)),
    # from where a stage runs
    ({"part/util.py": "", "part/code/train.py": "import util\n"}, "python code/train.py",
     "    wdir: part\n", ("part",)),
    # nothing is needed
    ({"src/train.py": "import util\nfrom features import build\nfrom . import other\n", **PACKAGE},
     "python src/train.py", "", ()),
    ({"train.py": "import random, yaml, data\n", "src/random.py": "", "data/raw.csv": "", "lib/yaml.py": ""},
     "python train.py", "", ()),
    ({**PACKAGE, "src/train.py": "import src.util\n"}, "PYTHONPATH=. python src/train.py", "", ()),
    ({"src/train.py": "import src.util (\n", **PACKAGE}, "python src/train.py", "", ()),
    ({"a.sh": "true\n"}, "sh a.sh", "", ()),
])  # fmt: skip
def test_folders_that_python_would_not_look_in(
    tmp_path: Path, files: Mapping[str, str], command: str, extra: str, folders: tuple[str, ...]
) -> None:
    kind = replace(KINDS["pip"], files={**files, "dvc.yaml": stage(command, extra)})
    assert detect_project(make(tmp_path, kind), {})[1].python_path == folders


@pytest.mark.parametrize("agent", ["docker", "label:x", "kubernetes"])
def test_every_agent_is_given_the_folders(tmp_path: Path, agent: str) -> None:
    files = {**PACKAGE, "src/train.py": "import src.util\n", "dvc.yaml": stage("python src/train.py")}
    found = detect_project(make(tmp_path, replace(KINDS["monorepo"], files=files)), {})[1]
    kind, _, label = agent.partition(":")
    options = ScaffoldOptions(agent=kind, label=label or "docker", image="x" if kind == "kubernetes" else "")
    assert 'PYTHONPATH = "${env.WORKSPACE}/teams/vision é"' in render_files(found, options)["Jenkinsfile"]
