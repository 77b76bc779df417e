from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlbutler.errors import SettingsError, UsageError
from mlbutler.scaffold.detect import detect_project
from mlbutler.scaffold.options import ScaffoldOptions
from mlbutler.scaffold.render import render_files
from tests.scaffold.projects import KINDS, make


@pytest.mark.parametrize("name", KINDS)
def test_what_a_project_is(tmp_path: Path, name: str) -> None:
    kind = KINDS[name]
    root, found = detect_project(make(tmp_path, kind), {})
    assert root == (tmp_path / "clone" / kind.folder).resolve()
    assert found.image.language == kind.language
    assert (found.remote.kind if found.remote else "") == kind.remote
    assert (found.forge, found.folder, found.target) == (kind.forge, kind.folder, "main")
    assert tuple(tool.name for tool in found.tests) == kind.tests
    assert tuple(tool.name for tool in found.linters) == kind.linters
    assert (found.stages, found.gated, found.configured) == (("train",), "metrics.json:NAME", False)
    assert found.ssh is kind.git.startswith(("git@", "ssh://"))


def test_python_versions_that_mlbutler_does_not_know_stand_beside_its_own(tmp_path: Path) -> None:
    found = detect_project(make(tmp_path, KINDS["pyproject"]), {})[1]
    assert found.image.base == "python:3.10-slim-bookworm"
    assert found.image.python.startswith("/usr/bin/python3")
    assert "python3-venv" in found.image.system


def test_included_requirements_come_along_and_local_lines_do_not(tmp_path: Path) -> None:
    image = detect_project(make(tmp_path, KINDS["pip"]), {})[1].image
    assert image.files == ("requirements.txt", "more.txt")
    assert "sed -i" in image.install[0]
    assert image.install[0].endswith("pip install --no-cache-dir -r requirements.txt")


def test_tools_that_no_file_names_are_missing(tmp_path: Path) -> None:
    assert detect_project(make(tmp_path, KINDS["pip"]), {})[1].missing == ("flake8",)


def test_outside_of_a_project(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        detect_project(tmp_path, {})


@pytest.mark.parametrize(("git", "settings", "forge"), [
    ("https://git.example.org/a/w.git", '[forge]\nkind = "gitlab"\n', "gitlab"),
    ("https://git.example.org/a/w.git", '[forge]\nkind = "gitea"\nurl = "https://example.org/gitea"\n', "gitea"),
    ("https://git.example.org/a/w.git", '[forge]\nurl = "https://gitlab.example.org"\n', "gitlab"),
    ("https://github.com/a/w.git", '[forge]\nkind = "folder"\nurl = "/srv/told"\n', "folder"),
    ("https://gogs.example.org/a/w.git", "", "gogs"),
    ("https://ann:secret@git.example.org/a/w.git", "", ""),
    ("", '[forge]\nkind = "gitlab"\n', "gitlab"),
])  # fmt: skip
def test_the_forge_is_the_one_that_a_run_publishes_to(tmp_path: Path, git: str, settings: str, forge: str) -> None:
    files = {**KINDS["pip"].files, "mlbutler.toml": settings}
    found = detect_project(make(tmp_path, replace(KINDS["pip"], git=git, files=files)), {})[1]
    assert found.forge == forge
    bound = "mlbutler-forge" in render_files(found, ScaffoldOptions())["Jenkinsfile"]
    assert bound is (forge not in ("", "folder"))


@pytest.mark.parametrize(("server", "bound"), [
    ("https://mlflow.example.org", True), ("http://mlflow.example.org:5000", False),
    ("https://dagshub.com/a/w.mlflow", False), ("https://git.example.org/a/w.mlflow", False),
])  # fmt: skip
def test_a_password_for_mlflow_is_bound_where_results_are_sent(tmp_path: Path, server: str, bound: bool) -> None:
    files = {**KINDS["pip"].files, "mlbutler.toml": f'[trackers]\nmlflow = "{server}"\n'}
    project = replace(KINDS["pip"], git="https://git.example.org/a/w.git", files=files)
    found = detect_project(make(tmp_path, project), {})[1]
    made = render_files(found, ScaffoldOptions(train=True))
    assert ["MLFLOW_TRACKING_PASSWORD" in made[name] for name in ("Jenkinsfile", "Jenkinsfile.train")] == [bound] * 2
    assert (
        "withForge(Closure body) { unlessFork([gitAccess(), trackerAccess()], body) }" in made["Jenkinsfile"]
    ) is bound


def test_a_forge_that_no_run_could_find_is_named_at_once(tmp_path: Path) -> None:
    files = {**KINDS["pip"].files, "mlbutler.toml": '[forge]\nurl = "https://git.example.org"\n'}
    with pytest.raises(SettingsError, match=r"Cannot determine which forge"):
        detect_project(make(tmp_path, replace(KINDS["pip"], git="https://git.example.org/a/w.git", files=files)), {})


@pytest.mark.parametrize(("content", "gated"), [
    ('{"rows": 3, "val": {"accuracy": 0.9}, "loss": 1}', "metrics.json:val.accuracy"),
    ('{"rows": 3, "name": "x"}', "metrics.json:rows"),
    ('{"name": "x", "good": true}', "metrics.json:NAME"),
    ("{", "metrics.json:NAME"),
])  # fmt: skip
def test_the_example_of_a_gate_names_a_number_that_there_is(tmp_path: Path, content: str, gated: str) -> None:
    root = make(tmp_path, KINDS["pip"])
    (root / "metrics.json").write_text(content)
    found = detect_project(root, {})[1]
    assert found.gated == gated
    assert f'# metric = "{gated}"' in render_files(found, ScaffoldOptions())["mlbutler.toml"]


def test_the_example_of_predictions_names_an_output_that_looks_like_them(tmp_path: Path) -> None:
    root = make(tmp_path, KINDS["pip"])
    assert '# file = "predictions.csv"' in render_files(detect_project(root, {})[1], ScaffoldOptions())["mlbutler.toml"]
    (root / "dvc.yaml").write_text(
        "stages:\n  test:\n    cmd: 'true'\n    outs: [model.pkl, out/test_predictions.parquet]\n"
    )
    found = detect_project(root, {})[1]
    assert '# file = "out/test_predictions.parquet"' in render_files(found, ScaffoldOptions())["mlbutler.toml"]
