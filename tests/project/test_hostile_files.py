"""Whatever a pull request writes into DVC's files, the project is read or refused with an error of ours."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest

from mlbutler.errors import MlbutlerError, ProjectError
from mlbutler.project.project import Project
from mlbutler.record import StageState
from tests.test_parsing import BOMB, DIGITS

_TEXTS = {
    "a word that is no timestamp": "a: !!timestamp x\n",
    "a word that is no boolean": "a: !!bool maybe\n",
    "a date": "n: 5\nother: 2020-01-01\n",
    "bytes": "n: !!binary aGk=\n",
    "a bomb": BOMB,
    "itself": "n: &a [*a]\n",
    "deep nesting": "n: " + "[" * 3000 + "]" * 3000,
    "a large number": f"n: {DIGITS}\n",
    "NaN": "n: .nan\n",
    "keys twice": "n: 5\nn: 6\n",
    "a NUL": "n: 5\0\n",
    "an escaped NUL": 'n: "5\\0"\nstages: {a: {cmd: x, outs: ["a\\0b"]}}\nouts: [{md5: "x", path: "a\\0b"}]\n',
    "half a character": 'n: "\\ud800"\nstages: {a: {cmd: x, outs: ["\\ud800"]}}\nouts: [{path: "\\ud800"}]\n',
    "other types": "stages: {train@1: {cmd: [1], deps: 3}}\nouts: 7\n",
    "a long name": f"outs: [{{path: {'x' * 300}}}]\nstages: {{a: {{cmd: x, deps: [{'y' * 300}]}}}}\n",
    "an MD5 that is a path": "outs: [{md5: ../../../../etc, path: raw, hash: md5}]\n",
    "no mapping": "- 1\n",
}


@pytest.mark.parametrize("content", _TEXTS)
def test_no_text_in_a_file_of_dvc_s_breaks_mlbutler(full: Path, content: str) -> None:
    for name in ("params.yaml", "dvc.yaml", "dvc.lock", "data/raw.dvc", ".dvc/config", "m1.json"):
        file = full / name
        before = file.read_bytes()
        file.write_text(_TEXTS[content], encoding="utf-8")
        try:
            project = Project(full, {})
            project.planning.plan()
            project.snapshots.read_snapshots("HEAD", "")
        except MlbutlerError as error:
            assert error.message, name
            assert error.remedy, name
        file.write_bytes(before)


@pytest.mark.parametrize("name", ["params.yaml", "dvc.yaml", "dvc.lock", "data/raw.dvc"])
@pytest.mark.parametrize("also", ["", "only_dvc_takes: [x:]\n"])
def test_what_would_keep_dvc_busy_for_minutes_is_refused_with_the_file_s_name(full: Path, name: str, also: str) -> None:
    full.joinpath(name).write_text(also + BOMB)
    with pytest.raises(ProjectError, match=f"{name} is not valid YAML: more than 1,000,000 values at line"):
        _ = Project(full, {}).stages


def test_a_matrix_of_more_stages_than_memory_holds_is_refused_before_they_are_made(full: Path) -> None:
    lists = ", ".join(f"{name}: {list(range(30))}" for name in "abcdef")
    full.joinpath("dvc.yaml").write_text(f"stages: {{train: {{matrix: {{{lists}}}, cmd: x}}}}\n")
    with pytest.raises(ProjectError, match=r"dvc\.yaml is too large: the matrix of 'train' makes 729,000,000 stages"):
        _ = Project(full, {}).stages


def test_a_dvcignore_of_thousands_of_patterns_is_refused_before_dvc_reads_it(full: Path) -> None:
    (full / ".dvcignore").write_text("*.tmp\n!kept\n" * 3_000)
    with pytest.raises(ProjectError, match=r"\.dvcignore is too long: 6,\d+ patterns") as error:
        _ = Project(full).stages
    assert "folders" in error.value.remedy


def test_what_is_recorded_as_an_md5_and_is_a_path_names_no_file(full: Path) -> None:
    full.joinpath("data/raw.dvc").write_text("outs: [{md5: ab/../../../../etc/passwd, path: raw, hash: md5}]\n")
    with pytest.raises(ProjectError, match=r"recorded for 'raw' is not an MD5: 'ab/\.\./"):
        _ = Project(full, {}).stages


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        ("train:\n  cmd: echo\n", "dvc.lock: it has the format of DVC 1", "schema: '2.0'"),
        ("<<<<<<< HEAD\nstages: {}\n=======\n>>>>>>> other\n", "conflict markers of Git", "Settle the merge"),
    ],
)
def test_a_common_fault_of_dvc_lock_is_named_with_what_fixes_it(
    full: Path, text: str, problem: str, remedy: str
) -> None:
    full.joinpath("dvc.lock").write_text(text)
    with pytest.raises(ProjectError, match=problem) as caught:
        Project(full, {}).planning.plan()
    assert remedy in caught.value.remedy


def test_a_lock_of_dvc_1_is_read_after_what_the_remedy_says(full: Path) -> None:
    whole = full.joinpath("dvc.lock").read_text()
    old = textwrap.dedent(whole.partition("stages:\n")[2])
    full.joinpath("dvc.lock").write_text(old)
    with pytest.raises(ProjectError, match="format of DVC 1"):
        Project(full, {}).planning.plan()
    full.joinpath("dvc.lock").write_text("schema: '2.0'\nstages:\n" + textwrap.indent(old, "  "))
    assert {stage.state for stage in Project(full, {}).planning.plan()} == {StageState.UP_TO_DATE}


def test_a_file_whose_name_is_no_text_is_named_as_what_dvc_cannot_record(full: Path) -> None:
    (full / "data" / "raw" / os.fsdecode(b"\xff")).write_text("x")
    with pytest.raises(ProjectError, match=r"data/raw is, or holds, a file whose name is not UTF-8"):
        Project(full, {}).planning.plan()
