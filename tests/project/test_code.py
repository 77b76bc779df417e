"""Changed files and the stages that use them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mlbutler.git import Git
from mlbutler.project.code import code_changes
from mlbutler.project.project import Project
from mlbutler.record import CodeChange
from tests.project.conftest import commit, dvc

DVC_YAML = """
stages:
  train:
    cmd: python src/train.py --config=conf/base.json > out.txt
    deps: [src/train.py]
    params: [rate]
    outs: [out.txt]
  report:
    wdir: tools
    cmd: python -m draw.figure
    deps: [draw]
    outs: [figure.txt]
  count:
    cmd: bash count.sh
    deps: [out.txt]
    metrics: [{m.json: {cache: false}}]
"""
FILES = {
    "src/train.py": "import model\n",
    "src/model.py": "from common.layers import x\n",
    "common/layers.py": "x = 1\n",
    "common/unused.py": "",
    "tools/draw/figure.py": "import shared\nopen('figure.txt', 'w')\n",
    "tools/shared.py": "",
    "conf/base.json": "{}",
    "count.sh": "echo '{\"a\": 1}' > m.json\n",
    "params.yaml": "rate: 1\n",
    "README.md": "",
}


def write(root: Path, files: dict[str, str]) -> None:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)


@pytest.fixture(params=["", "ml/"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str, str]:
    """(root, prefix, base commit), at the repository's root and in a folder of it."""
    root = tmp_path / "repo" / request.param
    write(root, {**FILES, "dvc.yaml": DVC_YAML})
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=tmp_path / "repo", check=True)
    write(tmp_path / "repo", {"outside.txt": "1", "lib/base.py": ""})
    dvc(root, "init", "-q", *(["--subdir"] if request.param else []))
    return root, request.param, commit(tmp_path / "repo", "first")


def find_changes(project: tuple[Path, str, str]) -> dict[str, CodeChange]:
    root, prefix, base = project
    return {change.path: change for change in code_changes(Project(root, {}), Git(root), prefix, base)}


def test_every_changed_file_is_told_with_its_stages(project: tuple[Path, str, str]) -> None:
    root = project[0]
    for path in FILES:
        if path != "README.md":
            (root / path).write_text(FILES[path] + "\n")
    (root / "README.md").unlink()
    write(root, {"new.py": "", "m.json": '{"a": 2}'})
    subprocess.run(["git", "add", "-A"], cwd=root, check=True)
    changes = find_changes(project)
    assert {path: (c.kind, c.stages) for path, c in changes.items()} == {
        "src/train.py": ("changed", ("train",)),
        "src/model.py": ("changed", ()),
        "common/layers.py": ("changed", ()),
        "common/unused.py": ("changed", ()),
        "tools/draw/figure.py": ("changed", ("report",)),
        "tools/shared.py": ("changed", ()),
        "conf/base.json": ("changed", ()),
        "count.sh": ("changed", ()),
        "README.md": ("removed", ()),
        "new.py": ("added", ()),
    }
    assert {path: c.undeclared for path, c in changes.items() if c.undeclared} == {
        "src/model.py": (("train", "imported by src/train.py"),),
        "common/layers.py": (("train", "imported by src/model.py"),),
        "tools/shared.py": (("report", "imported by tools/draw/figure.py"),),
        "conf/base.json": (("train", "named in its command"),),
        "count.sh": (("count", "named in its command"),),
    }


def test_dvc_itself_takes_a_stage_with_a_changed_import_for_up_to_date(tmp_path: Path) -> None:
    stage = "stages:\n  train: {cmd: python train.py, deps: [train.py], outs: [out.txt]}\n"
    train = "import model; open('out.txt', 'w').write(model.x)\n"
    write(tmp_path, {"train.py": train, "model.py": "x = 'one'\n", "dvc.yaml": stage})
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=tmp_path, check=True)
    dvc(tmp_path, "init", "-q")
    dvc(tmp_path, "repro", "-q")
    base = commit(tmp_path, "first")
    (tmp_path / "model.py").write_text("x = 'two'\n")
    dvc(tmp_path, "repro", "-q")
    assert (tmp_path / "out.txt").read_text() == "one"
    [change] = code_changes(Project(tmp_path, {}), Git(tmp_path), "", base)
    assert change.undeclared == (("train", "imported by train.py"),)


def test_what_is_declared_is_no_warning(project: tuple[Path, str, str]) -> None:
    root = project[0]
    text = DVC_YAML.replace("deps: [src/train.py]", "deps: [src, common/, conf/base.json]")
    (root / "dvc.yaml").write_text(text)
    write(root, {"src/model.py": "from common.layers import x\n\n", "conf/base.json": "[]"})
    changes = find_changes(project)
    assert {path: (c.stages, c.undeclared) for path, c in changes.items()} == {
        "src/model.py": (("train",), ()),
        "conf/base.json": (("train",), ()),
    }


@pytest.mark.parametrize("project", ["ml/"], indirect=True)
def test_files_outside_the_project_are_told_where_a_stage_uses_them(project: tuple[Path, str, str]) -> None:
    root = project[0]
    (root.parent / "outside.txt").write_text("2")
    (root.parent / "lib" / "base.py").write_text("# changed\n")
    assert find_changes(project) == {}
    (root / "dvc.yaml").write_text(DVC_YAML.replace("deps: [src/train.py]", "deps: [src/train.py, ../lib]"))
    assert {path: c.stages for path, c in find_changes(project).items()} == {"../lib/base.py": ("train",)}


def test_who_comes_after_whom(project: tuple[Path, str, str]) -> None:
    followers = Project(project[0], {}).stages.followers
    assert followers == {"train": ("count",), "report": (), "count": ()}
