"""What the image installs: the generated lines run beside what they copy, with the installers played."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mlbutler.scaffold.detect import detect_project
from mlbutler.scaffold.options import ScaffoldOptions
from mlbutler.scaffold.render import render_files
from tests.scaffold.projects import KINDS, STAGES, make

INSTALLERS = ("pip", "uv", "poetry", "pdm", "pipenv", "conda", "mamba", "julia", "Rscript", "npm", "chmod")


@dataclass(frozen=True)
class Image:
    """The Dockerfile's text, and what the installers were called with when its lines ran, with the lists' contents."""

    text: str
    base: str
    calls: Sequence[str]
    listed: str


def build(tmp_path: Path, files: Mapping[str, str], played: Mapping[str, str] | None = None) -> Image:
    """Run the RUN lines that install the project's packages, in a folder with what COPY lines bring."""
    root = make(tmp_path, replace(KINDS["pip"], files={"dvc.yaml": STAGES, "train.py": "", **files}))
    text = render_files(detect_project(root, {})[1], ScaffoldOptions())["Dockerfile"]
    folder, programs = tmp_path / "image", tmp_path / "programs"
    folder.mkdir()
    programs.mkdir()
    for name in INSTALLERS:
        body = (played or {}).get(name, "true")
        (programs / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/calls\n{body}\n')
        (programs / name).chmod(0o755)
    (programs / "python").symlink_to(sys.executable)
    _, _, middle = text.partition("WORKDIR /opt/dependencies\n")
    for line in middle.partition("\n\n")[0].splitlines():
        word, _, rest = line.partition(" ")
        if word == "COPY":
            *names, target = shlex.split(rest)
            for name in names:
                place = folder / target / Path(name).name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text((root / name).read_text())
        elif word == "RUN":
            command = rest.replace("/tmp/", f"{tmp_path}/")
            environ = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path)}
            done = subprocess.run(["sh", "-ec", command], cwd=folder, env=environ, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
    calls = (tmp_path / "calls").read_text().replace(f"{tmp_path}/", "/tmp/") if (tmp_path / "calls").exists() else ""
    lists = [*folder.rglob("*.txt"), *folder.glob("*.y*ml"), *folder.glob("Pipfile"), tmp_path / "requirements.txt"]
    listed = "".join(path.read_text() for path in lists if path.is_file())
    return Image(text, text.split("FROM ")[1].splitlines()[0], calls.splitlines(), listed)


@pytest.mark.parametrize(("files", "call"), [
    ({"src/requirements.txt": "six\n"}, "pip install --no-cache-dir -r src/requirements.txt"),
    ({"code/requirements.txt": "six\n", "code/train.py": "", "dvc.yaml": STAGES.replace("python t", "python code/t")},
     "pip install --no-cache-dir -r code/requirements.txt"),
    ({"setup.cfg": "[metadata]\nname = w\n", "pyproject.toml": "[tool.black]\n"}, "-r setup.cfg --all-extras"),
    ({"setup.cfg": "[metadata]\nname = w\n"}, "-r setup.cfg --all-extras"),
    ({"setup.py": "x"}, "-r setup.py --all-extras"),
    ({"pyproject.toml": "[project]\nname = 'w'\n[dependency-groups]\ndev = ['pytest']\n"},
     "-r pyproject.toml --all-extras --group dev"),
    ({"pyproject.toml": "[project]\nname = 'w'\n[tool.hatch.envs.a]\ndependencies = ['coverage[toml]>=6', '-e .']\n"},
     "-r pyproject.toml --all-extras coverage[toml]>=6"),
    ({"pyproject.toml": "[project]\nname = 'w'\n[tool.pdm.dev-dependencies]\ntest = ['pytest>7', '--pre', '$(id)']\n"},
     "-r pyproject.toml --all-extras pytest>7"),
    ({"pyproject.toml": "[tool.poetry]\nname = 'w'\n"}, "poetry install --no-root --no-interaction"),
    ({"pyproject.toml": "[project]\nname = 'w'\n", "poetry.lock": ""}, "poetry install --no-root --no-interaction"),
    ({"conda-lock.yml": "a", "environment.yml": "dependencies: [a]"},
     "mamba create --quiet --yes --prefix /opt/project --file conda-lock.yml"),
    ({"conda-linux-64.lock": "a", "environment.yml": "dependencies: [a]"},
     "conda create --quiet --yes --prefix /opt/project --file conda-linux-64.lock"),
    ({"environment.yml": "dependencies: [a]"}, "conda env create --quiet --prefix /opt/project --file environment.yml"),
    ({"Project.toml": 'name = "W"\n', "Manifest.toml": 'julia_version = "1.10.2"\n'}, "julia --project=. -e using Pkg"),
])  # fmt: skip
def test_the_installer_is_asked_for_what_the_files_list(tmp_path: Path, files: Mapping[str, str], call: str) -> None:
    calls = build(tmp_path, files).calls
    assert any(call in line for line in calls), calls
    assert not any(" --pre " in f"{line} " or "uid=" in line or "-e ." in line for line in calls)


LOCAL = "six==1.16\n-e .\n./lib\n-e ./packages/b\nfile:///x\nidna==3.4\n"


@pytest.mark.parametrize(("files", "played"), [
    ({"uv.lock": "", "pyproject.toml": "[project]\nname = 'w'\n"}, "uv"),
    ({"pdm.lock": "", "pyproject.toml": "[project]\nname = 'w'\n"}, "pdm"),
    ({"Pipfile.lock": "{}", "Pipfile": ""}, "pipenv"),
    ({"requirements.txt": LOCAL}, ""),
])  # fmt: skip
def test_folders_in_a_lock_file_are_not_installed(tmp_path: Path, files: Mapping[str, str], played: str) -> None:
    """The code comes with the checkout: the image has nothing of it to install."""
    text = f"""for word; do last=$word; done
case "$*" in *export*) printf '{LOCAL}' > "$last" ;; *requirements*) printf '{LOCAL}' ;; esac""".replace("\n-", "\\n-")
    text = (
        text.replace("\n./", "\\n./").replace("\nfile", "\\nfile").replace("\nidna", "\\nidna").replace("4\n'", "4\\n'")
    )
    image = build(tmp_path, files, {played: text} if played else {})
    assert image.listed.splitlines() == ["six==1.16", "idna==3.4"]
    assert any(re.search(r"^pip install --no-cache-dir -r \S*requirements\.txt", call) for call in image.calls)


def test_uv_exports_a_real_lock_without_the_projects_own_packages(tmp_path: Path) -> None:
    """The lock is uv's own: two members of a workspace, one package of the index."""
    uv = Path(sys.executable).with_name("uv")
    if not uv.is_file():
        pytest.skip("uv is not installed")
    member = '[project]\nname = "member"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["six==1.16.0"]\n'
    own = (
        '[project]\nname = "words"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["member"]\n'
        '[tool.uv.workspace]\nmembers = ["packages/*"]\n[tool.uv.sources]\nmember = {workspace = true}\n'
    )
    image = build(
        tmp_path,
        {"pyproject.toml": own, "packages/member/pyproject.toml": member, "uv.lock": UV_LOCK.replace("HASH", "8" * 64)},
        {"uv": f'{uv} --offline --no-cache "$@"'},
    )
    assert "six==1.16.0" in image.listed
    assert "packages" not in image.listed


UV_LOCK = """\
version = 1
revision = 1
requires-python = ">=3.11"

[manifest]
members = ["member", "words"]

[[package]]
name = "member"
version = "1"
source = { virtual = "packages/member" }
dependencies = [{ name = "six" }]

[package.metadata]
requires-dist = [{ name = "six", specifier = "==1.16.0" }]

[[package]]
name = "six"
version = "1.16.0"
source = { registry = "https://pypi.org/simple" }
wheels = [
    { url = "https://example.org/six-1.16.0-py2.py3-none-any.whl", hash = "sha256:HASH", size = 11053 },
]

[[package]]
name = "words"
version = "1"
source = { virtual = "." }
dependencies = [{ name = "member" }]

[package.metadata]
requires-dist = [{ name = "member", virtual = "packages/member" }]
"""


def test_a_list_that_installs_the_project_brings_what_that_needs(tmp_path: Path) -> None:
    image = build(tmp_path, {
        "requirements.txt": "-e .\nsix\n", "README.md": "hello\n", "words/__init__.py": "__version__ = '1'\n",
        "words/deep/er/__init__.py": "",
        "setup.py": "setup(long_description=open('README.md').read(), packages=['words'], install_requires=['idna'])\n",
    })  # fmt: skip
    assert any("-r setup.py --all-extras" in call for call in image.calls)
    assert "COPY requirements.txt setup.py README.md ./" in image.text
    assert "COPY words/__init__.py ./words/" in image.text
    assert "mkdir -p words/deep/er" in image.text


def test_conda_leaves_out_the_project_and_takes_the_lists_that_it_names(tmp_path: Path) -> None:
    text = "dependencies:\n  - pip\n  - pip:\n    - -e .\n    - .\n    - -r more.txt\n    - .[dev]\n"
    image = build(tmp_path, {"environment.yml": text, "more.txt": "six\n"})
    assert "more.txt" in image.text
    assert [line.strip() for line in image.listed.splitlines() if line.startswith("    -")] == ["- -r more.txt"]


@pytest.mark.parametrize(("files", "base"), [
    ({"renv.lock": '{"R": {"Version": "4.3.1"}}'}, "rocker/r-ver:4.3.1"),
    ({"renv.lock": '{"R": {"Version": "latest\\nRUN id"}}'}, "rocker/r-ver:4.4.2"),
    ({"Project.toml": "", "Manifest.toml": 'julia_version = "1.10.2"\n'}, "julia:1.10.2-bookworm"),
    ({"Project.toml": '[compat]\njulia = "1.9"\n'}, "julia:1.9-bookworm"),
    ({"Pipfile": '[requires]\npython_version = "3.9"\n'}, "python:3.9-slim-bookworm"),
    ({"setup.py": "setup(python_requires='>=3.8,<3.11')\n"}, "python:3.10-slim-bookworm"),
    ({"runtime.txt": "python-3.11.4\n", "requirements.txt": "six\n"}, "python:3.11-slim-bookworm"),
    ({"environment.yml": "dependencies: [a]", "uv.lock": "", "pyproject.toml": "[project]\nname='w'\n"},
     "python:3.12-slim-bookworm"),
])  # fmt: skip
def test_versions_are_those_of_the_lock(tmp_path: Path, files: Mapping[str, str], base: str) -> None:
    sources = {name: "" for name in ("train.py",) if "Project.toml" not in files and "renv.lock" not in files}
    root = make(tmp_path, replace(KINDS["pip"], files={"dvc.yaml": STAGES, **sources, **files}))
    assert detect_project(root, {})[1].image.base == base
