"""`mlbutler compare` where one side cannot be read whole, as a user sees it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlbutler.cli import main
from tests.project.conftest import bare, commit, dvc, full, master

__all__ = ["bare", "full", "master"]

Compared = tuple[int, dict[str, Any]]
Cli = Callable[..., Compared]


@pytest.fixture
def compare(capsys: pytest.CaptureFixture[str]) -> Cli:
    def call(*words: str) -> Compared:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["compare", "--json", *words])
        assert isinstance(ended.value.code, int)
        out = capsys.readouterr().out
        found = json.loads(out)
        assert "result" in found, found
        return ended.value.code, found["result"]

    return call


def git(root: Path, *args: str) -> None:
    subprocess.run(["git", *args], cwd=root, check=True, capture_output=True)


def branch_with(root: Path, files: dict[str, str]) -> None:
    git(root, "checkout", "-q", "-b", "try")
    for path, text in files.items():
        (root / path).write_text(text)
    commit(root, "a change")


def commit_of(root: Path, revision: str) -> str:
    return subprocess.run(
        ["git", "rev-parse", revision], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


def verdicts(result: dict[str, Any]) -> dict[str, str]:
    return {metric["file"]: metric["verdict"] for metric in result["metrics"]}


DVC_1 = "train:\n  cmd: echo\n  outs:\n  - path: final.txt\n    md5: 0123456789abcdef0123456789abcdef\n"
TORN = "schema: '2.0'\nstages:\n  prepare:\n    cmd: [\n"
CONFLICT = "schema: '2.0'\n<<<<<<< HEAD\nstages: {}\n=======\nstages: {}\n>>>>>>> other\n"


@pytest.mark.parametrize(
    ("lock", "why"), [(DVC_1, "format of DVC 1"), (TORN, "cannot be read"), (CONFLICT, "conflict markers")]
)
def test_a_target_with_a_broken_lock_is_compared_by_what_git_keeps(
    full: Path, compare: Cli, lock: str, why: str
) -> None:
    good = (full / "dvc.lock").read_text()
    (full / "dvc.lock").write_text(lock)
    commit(full, "the lock breaks")
    branch_with(full, {"dvc.lock": good})
    (full / "params.yaml").write_text("n: 7\nother: 1\n")
    dvc(full, "repro", "-q")
    commit(full, "another n")
    code, result = compare()
    assert code == 0
    assert why in result["old_problem"]
    assert [m["old"] for m in result["metrics"]] == [0.15, 0.25]
    assert "new" not in verdicts(result).values()
    assert [change["name"] for change in result["params"]] == ["n"]
    assert [change["parts"][0]["part"] for change in result["stages"]] == ["command", "command"]  # ${n} is filled in
    assert result["data"] == []
    assert any(subject == "the target" and why in reason for subject, reason in result["not_judged"])


def test_a_target_whose_dvc_yaml_is_broken_is_compared_by_its_files(full: Path, compare: Cli) -> None:
    good = (full / "dvc.yaml").read_text()
    (full / "dvc.yaml").write_text("stages: [\n")
    commit(full, "dvc.yaml breaks")
    branch_with(full, {"dvc.yaml": good})
    code, result = compare()
    assert code == 0
    assert "dvc.yaml cannot be read" in result["old_problem"]
    assert verdicts(result) == {"m1.json": "same", "m2.json": "same"}


def test_nothing_that_could_be_compared_is_not_known(full: Path, compare: Cli) -> None:
    good = (full / "dvc.yaml").read_text()
    (full / "dvc.yaml").write_text("stages: [\n")
    git(full, "rm", "-q", "--cached", "m1.json", "m2.json", "params.yaml")
    with (full / ".gitignore").open("a") as ignored:
        ignored.write("/m1.json\n/m2.json\n/params.yaml\n")
    commit(full, "dvc.yaml breaks")
    branch_with(full, {"dvc.yaml": good})
    code, result = compare()
    assert (code, result["outcome"]) == (3, "not known")
    assert "the target could not be compared: dvc.yaml cannot be read" in result["reason"]
    assert set(verdicts(result).values()) == {"not judged"}


def test_a_broken_lock_here_is_said_and_its_numbers_pass_no_gate(full: Path, compare: Cli) -> None:
    gate = "[[gate]]\nmetric = 'm1.json:acc'\nmin = 0.0\n"
    branch_with(full, {"dvc.lock": CONFLICT, "mlbutler.toml": gate})
    code, result = compare()
    assert (code, result["outcome"]) == (3, "not known")
    assert "this change could not be compared: dvc.lock cannot be read" in result["reason"]
    assert "dvc.lock cannot be read: it holds conflict markers" in result["new_problem"]
    assert set(verdicts(result).values()) == {"not judged"}
    assert [gate["outcome"] for gate in result["gates"]] == ["not judged"]


def test_a_target_whose_metrics_dvc_alone_keeps_is_not_known_where_its_lock_is_broken(full: Path, compare: Cli) -> None:
    good = (full / "dvc.lock").read_text()
    (full / "dvc.yaml").write_text((full / "dvc.yaml").read_text().replace(": {cache: false}}", ": {cache: true}}"))
    git(full, "rm", "-q", "--cached", "m1.json", "m2.json")
    dvc(full, "commit", "-f", "-q")
    good = (full / "dvc.lock").read_text()
    (full / "dvc.lock").write_text(CONFLICT)
    commit(full, "the lock breaks")
    branch_with(full, {"dvc.lock": good})
    code, result = compare()
    assert (code, result["outcome"]) == (3, "not known")
    assert "the target could not be compared: dvc.lock" in result["reason"]
    assert set(verdicts(result).values()) == {"not judged"}


PLOTS = """
  draw:
    cmd: cp curve.csv drawn.csv
    deps: [curve.csv]
    plots: [drawn.csv: {x: step, y: loss}]
plots:
- curve.csv: {x: step, y: loss}
"""


def test_a_plot_of_a_target_whose_lock_is_broken_is_neither_new_nor_changed(full: Path, compare: Cli) -> None:
    (full / "dvc.yaml").write_text((full / "dvc.yaml").read_text().rstrip() + PLOTS)
    (full / "curve.csv").write_text("step,loss\n0,1.0\n1,0.5\n")
    dvc(full, "repro", "-q")
    good = (full / "dvc.lock").read_text()
    (full / "dvc.lock").write_text(CONFLICT)
    commit(full, "the lock breaks")
    branch_with(full, {"dvc.lock": good})
    _, result = compare()
    plots = {plot["file"]: plot for plot in result["plots"]}
    assert plots["drawn.csv"]["changed"] is None
    assert plots["drawn.csv"]["reason"].startswith("in the target: dvc.lock cannot be read")
    assert (plots["curve.csv"]["changed"], plots["curve.csv"]["reason"]) == (False, "")  # Git keeps it


def test_metrics_whose_objects_are_out_of_reach_and_the_same_are_the_same(bare: Path, compare: Cli) -> None:
    text = (bare / "dvc.yaml").read_text() + "metrics: [model1/w, data/raw/f 1.txt]\n"
    (bare / "dvc.yaml").write_text(text)
    commit(bare, "metrics in directories of DVC")
    branch_with(bare, {"notes": "nothing"})
    code, result = compare("--against", "main")
    assert code == 0, result["reason"]
    assert verdicts(result) == dict.fromkeys(("m1.json", "m2.json", "model1/w", "data/raw/f 1.txt"), "same")


def test_on_the_target_branch_itself_nothing_is_new_and_the_way_out_is_said(full: Path, compare: Cli) -> None:
    code, result = compare()
    assert code == 0
    assert set(verdicts(result).values()) == {"not judged"}
    assert result["sentence"].startswith("Not judged: this is main, the target branch itself: it has no commit before")
    assert "--against REV" in result["sentence"]
    (full / "notes").write_text("nothing")
    commit(full, "a second commit")
    code, result = compare()
    assert set(verdicts(result).values()) == {"same"}
    [said] = [why for subject, why in result["not_judged"] if subject == "the whole"]
    assert "this is main, the target branch itself: compared with the commit before" in said
    assert [origin["kind"] for origin in result["new_origins"]] == ["dvc.lock", "dvc.lock"]


def test_of_a_target_without_a_metric_it_is_not_said_where_its_number_comes_from(full: Path, compare: Cli) -> None:
    text = (full / "dvc.yaml").read_text() + "metrics: [extra.json]\n"
    branch_with(full, {"dvc.yaml": text, "extra.json": '{"a": 1}'})
    _, result = compare("--against", "main")
    assert verdicts(result)["extra.json"] == "new"
    assert "extra.json" in {file for origin in result["new_origins"] for file in origin["files"]}
    assert "extra.json" not in {file for origin in result["old_origins"] for file in origin["files"]}


def test_the_advice_to_commit_names_what_the_results_were_made_from(
    full: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (full / "params.yaml").write_text("n: 7\nother: 1\n")
    (full / "notes").write_text("nobody reads this")
    dvc(full, "repro", "-q")
    with pytest.raises(SystemExit):
        main(["commit", "--json"])
    result = json.loads(capsys.readouterr().out)["result"]
    assert set(result["remedy"].removeprefix("git add -- ").removesuffix(" && git commit").split()) == {
        "dvc.lock", "m1.json", "m2.json", "params.yaml",
    }  # fmt: skip
    assert "what they were made from: params.yaml" in result["reason"]


def test_a_dependency_above_the_project_is_the_same_at_both_commits(full: Path, compare: Cli) -> None:
    """Git's root is the root of everything where DVC reads a commit."""
    text = (full / "dvc.yaml").read_text()
    assert "deps: [data/raw, src/prepare.py]" in text
    outside = "deps: [data/raw, src/prepare.py, ../beside.txt, /nonexistent/far.txt]"
    (full / "dvc.yaml").write_text(text.replace("deps: [data/raw, src/prepare.py]", outside))
    commit(full, "dependencies outside")
    branch_with(full, {"notes": "nothing"})
    _, result = compare("--against", "main")
    assert result["stages"] == []


def test_data_of_a_file_that_dvc_ignores_here_is_not_called_removed(bare: Path, compare: Cli) -> None:
    (bare / "dvc.yaml").write_text((bare / "dvc.yaml").read_text() + "metrics: [data/raw/f 1.txt]\n")
    commit(bare, "a metric in a directory of DVC's")
    branch_with(bare, {".gitignore": (bare / ".gitignore").read_text() + "/data/raw.dvc\n"})
    _, result = compare("--against", "main")
    assert result["data"] == []
    told = dict(result["not_judged"])
    assert told["data/raw"].startswith("data/raw.dvc tracks it, but DVC does not read that file")
    assert "gone" not in verdicts(result).values()


def test_metrics_that_only_an_ignored_file_tracks_are_not_known(full: Path, compare: Cli) -> None:
    (full / "best.json").write_text('{"best": 1}')
    dvc(full, "add", "-q", "best.json")
    (full / "dvc.yaml").write_text("metrics: [best.json]\n")
    commit(full, "one metric, which DVC keeps")
    branch_with(full, {".gitignore": (full / ".gitignore").read_text() + "/best.json.dvc\n"})
    (full / "best.json").unlink()
    code, result = compare("--against", "main")
    assert (code, result["outcome"]) == (3, "not known")
    assert result["reason"].startswith("best.json of this change could not be read: best.json.dvc tracks it")
    assert "git check-ignore" in result["remedy"]
    [origin] = result["old_origins"]
    assert (origin["kind"], origin["commit"]) == ("dvc.lock", commit_of(full, "main"))


def test_metrics_of_the_target_that_nobody_has_are_not_known(full: Path, compare: Cli) -> None:
    (full / "best.json").write_text('{"best": 1}')
    dvc(full, "add", "-q", "best.json")
    (full / "dvc.yaml").write_text("metrics: [best.json]\n")
    commit(full, "one metric, which DVC keeps")
    git(full, "checkout", "-q", "-b", "try")
    (full / "best.json").write_text('{"best": 2}')
    dvc(full, "add", "-q", "best.json")
    commit(full, "better")
    assert verdicts(compare("--against", "main")[1]) == {"best.json": "not judged"}  # no direction is known
    shutil.rmtree(full / ".dvc" / "cache")
    code, result = compare("--against", "main")
    assert (code, result["outcome"]) == (3, "not known")
    assert result["reason"].startswith("best.json of the target could not be read: in neither")
    assert "--against" in result["remedy"]


def test_the_number_of_the_target_comes_from_its_own_commit(full: Path, compare: Cli) -> None:
    """What the change recorded in its place is in no commit of the target's."""
    (full / "dvc.yaml").write_text((full / "dvc.yaml").read_text().replace(": {cache: false}}", ": {cache: true}}"))
    git(full, "rm", "-q", "--cached", "m1.json", "m2.json")
    dvc(full, "commit", "-f", "-q")
    commit(full, "DVC keeps the metrics")
    branch_with(full, {"params.yaml": "n: 7\nother: 1\n"})
    dvc(full, "repro", "-q")
    commit(full, "another n")
    _, result = compare("--against", "main")
    sides = ("old_origins", "main~1"), ("new_origins", "HEAD")
    for side, revision in sides:  # the number in Git was the same before DVC kept it
        found = {(origin["kind"], origin["commit"]) for origin in result[side]}
        assert found == {("dvc.lock", commit_of(full, revision))}, side


def test_of_an_ignored_metrics_file_it_is_not_said_that_the_history_is_short(full: Path, compare: Cli) -> None:
    text = (full / "dvc.yaml").read_text() + "metrics: [extra.json]\n"
    ignored = (full / ".gitignore").read_text() + "/extra.json\n"
    branch_with(full, {"dvc.yaml": text, ".gitignore": ignored, "extra.json": '{"a": 1}'})
    _, result = compare("--against", "main")
    assert {"extra.json": "work tree"}.items() <= {
        file: origin["kind"] for origin in result["new_origins"] for file in origin["files"]
    }.items()


def test_a_date_in_the_parameters_is_no_bug(full: Path, compare: Cli) -> None:
    branch_with(full, {"params.yaml": "n: 1\nother: 1\nborn: 2020-01-01\n"})
    code, result = compare("--against", "main")
    assert (code, result["outcome"]) == (3, "not known")
    assert "Unsupported value of type 'date' in 'params.yaml:born'" in result["new_problem"]
